rule simulate:
    input:
        volume=optional_file("simulation", "volume"),
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
        dataset=dataset_optics,
        simulation=lookup("datasets/{dataset}/simulation", within=config),
        micrographs=batch_paths,
        seed=config["seed"],
        code=core_digest("simulate"),
    script:
        "../workflow_scripts/simulate.py"
