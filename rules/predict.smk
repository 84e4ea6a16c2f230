rule predict:
    input:
        network=ask(networks.predicting_network),
        images="results/{dataset}/images/{batch}.h5",
    output:
        probability="results/{dataset}/{experiment}/probability/{batch}.h5",
        quarantine="results/{dataset}/{experiment}/quarantine/predict-{batch}.tsv",
    log:
        "logs/{dataset}/{experiment}/predict/{batch}.log",
    benchmark:
        "results/{dataset}/{experiment}/performance/predict/{batch}.tsv"
    conda:
        "../envs/crisp.yaml"
    threads: 4
    resources:
        gpu=1,
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime="2h",
    params:
        micrographs=ask_value(micrographs.batch_paths),
        prediction=lookup("experiments/{experiment}/prediction", within=config),
        preparation=lookup("datasets/{dataset}/preparation", within=config),
        diameter_angstrom=ask_value(datasets.diameter_angstrom),
        code=core_digest("predict"),
    script:
        "../workflow_scripts/predict.py"
