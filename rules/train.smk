rule train:
    input:
        splits=ask(networks.training_splits),
        images=ask(networks.training_files, "results/{dataset}/images/{batch}.h5"),
        labels=ask(networks.training_files, "results/{dataset}/labels/{batch}.h5"),
    output:
        network="results/{network}/network.pt",
        history="results/{network}/history.tsv",
    log:
        "logs/{network}/train.log",
    benchmark:
        "results/{network}/performance/train.tsv"
    conda:
        "../envs/crisp.yaml"
    threads: 8
    resources:
        gpu=1,
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime="12h",
    params:
        network=ask_value(networks.training_section, "network"),
        # what costs only time or memory may change without a new training; the script takes it from the config
        training=ask_value(networks.training_section, "training", "workers"),
        prediction=ask_value(networks.training_section, "prediction", "tiles_per_step"),
        datasets=ask_value(networks.training_sources),
        seed=ask_value(networks.training_seed),
        # not an output, which Snakemake would delete when the job is killed
        resume=below_prefix("results/{network}/training/last.pt"),
        code=core_digest("train"),
    script:
        "../workflow_scripts/train.py"
