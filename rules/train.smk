rule train:
    input:
        split="results/{dataset}/split/drawn.tsv",
        images=training_batches("results/{dataset}/images/{batch}.h5"),
        labels=training_batches("results/{dataset}/labels/{batch}.h5"),
    output:
        network="results/{dataset}/{experiment}/network.pt",
        history="results/{dataset}/{experiment}/history.tsv",
    log:
        "logs/{dataset}/{experiment}/train.log",
    benchmark:
        "results/{dataset}/{experiment}/performance/train.tsv"
    wildcard_constraints:
        experiment=one_of(TRAINABLE),
    conda:
        "../envs/crisp.yaml"
    threads: 8
    resources:
        gpu=1,
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime="12h",
    params:
        network=lookup("experiments/{experiment}/network", within=config),
        # what costs only time or memory may change without a new training; the script takes it from the config
        training=section_without("training", "workers"),
        prediction=section_without("prediction", "tiles_per_step"),
        preparation=lookup("datasets/{dataset}/preparation", within=config),
        seed=experiment_seed,
        # not an output, which Snakemake would delete when the job is killed
        resume="results/{dataset}/{experiment}/training/last.pt",
        code=core_digest("train"),
    script:
        "../workflow_scripts/train.py"
