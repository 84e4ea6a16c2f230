rule extract_for_reconstruction:
    input:
        micrographs=ask(micrographs.batch_files),
        simulation=ask(datasets.simulation_batch),
        images="results/{dataset}/images/{batch}.h5",
        truth=ask(datasets.simulation_truth),
        ctf=ask(datasets.imported_ctf),
        coordinates=ask(
            micrographs.batch_addition, "results/{dataset}/coordinates/{addition}.star"
        ),
    output:
        stack="results/{dataset}/reconstruction/stacks/{batch}.mrcs",
        particles="results/{dataset}/reconstruction/stacks/{batch}.star",
        dropped="results/{dataset}/reconstruction/stacks/{batch}-dropped.tsv",
    log:
        "logs/{dataset}/extract_for_reconstruction/{batch}.log",
    benchmark:
        "results/{dataset}/performance/extract_for_reconstruction/{batch}.tsv"
    conda:
        "../envs/crisp.yaml"
    resources:
        mem_mb=4000,
        runtime="2h",
    params:
        micrographs=ask_value(micrographs.batch_paths),
        star_paths=ask_value(micrographs.star_paths),
        dataset=ask_value(datasets.dataset_optics),
        stack_pixel_size=lookup(
            "datasets/{dataset}/labels/reconstruction/pixel_size", within=config
        ),
        code=core_digest("extract_for_reconstruction"),
    script:
        "../workflow_scripts/extract_for_reconstruction.py"


rule reconstruct:
    input:
        particles=ask(
            micrographs.addition_batches,
            "results/{dataset}/reconstruction/stacks/{batch}.star",
        ),
        stacks=ask(
            micrographs.addition_batches,
            "results/{dataset}/reconstruction/stacks/{batch}.mrcs",
        ),
        map=ask(datasets.initial_map),
    output:
        poses="results/{dataset}/reconstruction/poses.star",
        map="results/{dataset}/reconstruction/map.mrc",
    log:
        "logs/{dataset}/reconstruct.log",
    benchmark:
        "results/{dataset}/performance/reconstruct.tsv"
    wildcard_constraints:
        dataset=one_of(PLAN.labels_come_from("relion", "aspire", "matching")),
    conda:
        "../envs/crisp.yaml"
    threads: 2
    resources:
        mem_mb=8000,
        runtime="1d",
    params:
        source=lookup("datasets/{dataset}/labels/source", within=config),
        reconstruction=lookup("datasets/{dataset}/labels/reconstruction", within=config),
        diameter_angstrom=ask_value(datasets.diameter_angstrom),
        seed=config["seed"],
        code=core_digest("reconstruct"),
    script:
        "../workflow_scripts/reconstruct.py"
