rule label_simulated:
    input:
        simulation="results/{dataset}/simulation/{batch}.h5",
        images="results/{dataset}/images/{batch}.h5",
    output:
        labels="results/{dataset}/labels/{batch}.h5",
        quarantine="results/{dataset}/quarantine/label-{batch}.tsv",
    log:
        "logs/{dataset}/label/{batch}.log",
    benchmark:
        "results/{dataset}/performance/label/{batch}.tsv"
    wildcard_constraints:
        dataset=one_of(PLAN.labels_come_from("truth")),
    conda:
        "../envs/crisp.yaml"
    threads: 2
    resources:
        mem_mb=2000,
        runtime="1h",
    params:
        micrographs=ask_value(micrographs.batch_paths),
        threshold=lookup("datasets/{dataset}/simulation/threshold", within=config),
        diameter_angstrom=ask_value(datasets.diameter_angstrom),
        code=core_digest("label_simulated"),
    script:
        "../workflow_scripts/label_simulated.py"


rule label_disc:
    input:
        coordinates=ask(
            micrographs.batch_addition, "results/{dataset}/coordinates/{addition}.star"
        ),
        names=ask(
            micrographs.batch_addition,
            "results/{dataset}/coordinates/{addition}-names.tsv",
        ),
        images="results/{dataset}/images/{batch}.h5",
    output:
        labels="results/{dataset}/labels/{batch}.h5",
    log:
        "logs/{dataset}/label/{batch}.log",
    benchmark:
        "results/{dataset}/performance/label/{batch}.tsv"
    wildcard_constraints:
        dataset=one_of(PLAN.labels_come_from("disc")),
    conda:
        "../envs/crisp.yaml"
    resources:
        mem_mb=2000,
        runtime="1h",
    params:
        radius_angstrom=ask_value(datasets.disc_radius_angstrom),
        instances=lookup("datasets/{dataset}/labels/instances", within=config),
        code=core_digest("label_disc"),
    script:
        "../workflow_scripts/label_disc.py"


rule label_outline:
    input:
        coordinates=ask(
            micrographs.batch_addition, "results/{dataset}/coordinates/{addition}.star"
        ),
        names=ask(micrographs.labelled_names),
        images="results/{dataset}/images/{batch}.h5",
        poses=ask(datasets.outline_poses),
        map=ask(datasets.outline_map),
        mask=ask(datasets.optional_file, "labels", "mask"),
    output:
        labels="results/{dataset}/labels/{batch}.h5",
        unmatched="results/{dataset}/labels/{batch}-unmatched.tsv",
    log:
        "logs/{dataset}/label/{batch}.log",
    benchmark:
        "results/{dataset}/performance/label/{batch}.tsv"
    wildcard_constraints:
        dataset=one_of(PLAN.labels_come_from("poses", "relion", "aspire", "matching")),
    conda:
        "../envs/crisp.yaml"
    threads: 2
    resources:
        mem_mb=4000,
        runtime="1h",
    params:
        labels=ask_value(datasets.outline_settings),
        poses_origin=ask_value(datasets.poses_origin),
        pixel_size=lookup(
            "datasets/{dataset}/preparation/working_pixel_size", within=config
        ),
        diameter_angstrom=ask_value(datasets.diameter_angstrom),
        code=core_digest("label_outline"),
    script:
        "../workflow_scripts/label_outline.py"
