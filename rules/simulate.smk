rule density:
    input:
        volume=ask(datasets.volume_file),
    output:
        density="results/{dataset}/density.mrc",
    log:
        "logs/{dataset}/density.log",
    benchmark:
        "results/{dataset}/performance/density.tsv"
    conda:
        "../envs/crisp.yaml"
    threads: 2
    resources:
        mem_mb=8000,
        runtime="2h",
    params:
        volume=lookup("datasets/{dataset}/simulation/volume", within=config),
        volume_pixel_size=lookup(
            "datasets/{dataset}/simulation/volume_pixel_size", within=config
        ),
        resolution_angstrom=lookup(
            "datasets/{dataset}/simulation/model_resolution_angstrom", within=config
        ),
        pixel_size=lookup("datasets/{dataset}/pixel_size", within=config),
        diameter_angstrom=ask_value(datasets.diameter_angstrom),
        seed=config["seed"],
        code=core_digest("density"),
    script:
        "../workflow_scripts/density.py"


rule simulate:
    input:
        density="results/{dataset}/density.mrc",
    output:
        images="results/{dataset}/simulation/{batch}.h5",
        coordinates="results/{dataset}/simulation/{batch}.star",
    log:
        "logs/{dataset}/simulate/{batch}.log",
    benchmark:
        "results/{dataset}/performance/simulate/{batch}.tsv"
    conda:
        "../envs/crisp.yaml"
    threads: 2
    resources:
        mem_mb=4000,
        runtime="2h",
    params:
        dataset=ask_value(datasets.dataset_optics),
        simulation=ask_value(datasets.simulation_settings),
        micrographs=ask_value(micrographs.batch_paths),
        folder=below_prefix("results/{dataset}/micrographs"),
        seed=config["seed"],
        code=core_digest("simulate"),
    script:
        "../workflow_scripts/simulate.py"
