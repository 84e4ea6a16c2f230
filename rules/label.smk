rule label_simulated:
    input:
        simulation="results/{dataset}/simulation/{batch}.h5",
        images="results/{dataset}/images/{batch}.h5",
    output:
        labels="results/{dataset}/labels/{batch}.h5",
    log:
        "logs/{dataset}/label/{batch}.log",
    benchmark:
        "results/{dataset}/performance/label/{batch}.tsv"
    wildcard_constraints:
        dataset=labelled_by("truth"),
    conda:
        "../envs/crisp.yaml"
    threads: 2
    resources:
        mem_mb=2000,
        runtime="1h",
    params:
        threshold=lookup("datasets/{dataset}/simulation/threshold", within=config),
        diameter_angstrom=lookup(
            "datasets/{dataset}/particle_diameter_angstrom", within=config
        ),
        code=core_digest("label_simulated"),
    script:
        "../workflow_scripts/label_simulated.py"


rule label_disc:
    input:
        coordinates=of_batch_addition("results/{dataset}/coordinates/{addition}.star"),
        names=of_batch_addition("results/{dataset}/coordinates/{addition}-names.tsv"),
        images="results/{dataset}/images/{batch}.h5",
    output:
        labels="results/{dataset}/labels/{batch}.h5",
    log:
        "logs/{dataset}/label/{batch}.log",
    benchmark:
        "results/{dataset}/performance/label/{batch}.tsv"
    wildcard_constraints:
        dataset=labelled_by("disc"),
    conda:
        "../envs/crisp.yaml"
    resources:
        mem_mb=2000,
        runtime="1h",
    params:
        radius_angstrom=disc_radius_angstrom,
        instances=lookup("datasets/{dataset}/labels/instances", within=config),
        code=core_digest("label_disc"),
    script:
        "../workflow_scripts/label_disc.py"


rule label_outline:
    input:
        coordinates=of_batch_addition("results/{dataset}/coordinates/{addition}.star"),
        names=labelled_names,
        images="results/{dataset}/images/{batch}.h5",
        poses=outline_poses,
        map=outline_map,
        mask=optional_file("labels", "mask"),
    output:
        labels="results/{dataset}/labels/{batch}.h5",
        unmatched="results/{dataset}/labels/{batch}-unmatched.tsv",
    log:
        "logs/{dataset}/label/{batch}.log",
    benchmark:
        "results/{dataset}/performance/label/{batch}.tsv"
    wildcard_constraints:
        dataset=labelled_by("poses", "relion", "aspire", "matching"),
    conda:
        "../envs/crisp.yaml"
    threads: 2
    resources:
        mem_mb=4000,
        runtime="1h",
    params:
        labels=outline_settings,
        poses_origin=poses_origin,
        pixel_size=lookup(
            "datasets/{dataset}/preparation/working_pixel_size", within=config
        ),
        diameter_angstrom=lookup(
            "datasets/{dataset}/particle_diameter_angstrom", within=config
        ),
        code=core_digest("label_outline"),
    script:
        "../workflow_scripts/label_outline.py"
