rule train_crf:
    input:
        network=own_network,
        split="results/{dataset}/split/drawn.tsv",
        images=training_batches("results/{dataset}/images/{batch}.h5"),
        labels=training_batches("results/{dataset}/labels/{batch}.h5"),
    output:
        network="results/{dataset}/{experiment}/crf.pt",
        history="results/{dataset}/{experiment}/history_crf.tsv",
    log:
        "logs/{dataset}/{experiment}/train_crf.log",
    benchmark:
        "results/{dataset}/{experiment}/performance/train_crf.tsv"
    wildcard_constraints:
        experiment=one_of(FINETUNED),
    conda:
        "../envs/crisp.yaml"
    threads: 8
    resources:
        gpu=1,
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime="12h",
    params:
        crf=lookup("experiments/{experiment}/crf", within=config),
        # what costs only time or memory may change without a new training; the script takes it from the config
        training=section_without("training", "workers"),
        prediction=section_without("prediction", "tiles_per_step"),
        seed=experiment_seed,
        # not an output, which Snakemake would delete when the job is killed
        resume="results/{dataset}/{experiment}/training/last_crf.pt",
        code=core_digest("train_crf"),
    script:
        "../workflow_scripts/train_crf.py"


rule plot_crf:
    input:
        network="results/{dataset}/{experiment}/crf.pt",
        split="results/{dataset}/split.tsv",
        images=all_batches("results/{dataset}/images/{batch}.h5"),
    output:
        report(
            "results/{dataset}/{experiment}/plots/crf.png",
            caption="report/crf.rst",
            category="Training",
            labels={
                "experiment": "{dataset}/{experiment}",
                "plot": "what the CRF does",
            },
        ),
    log:
        "logs/{dataset}/{experiment}/plot_crf.log",
    wildcard_constraints:
        experiment=one_of(WITH_CRF),
    conda:
        "../envs/crisp.yaml"
    resources:
        mem_mb=4000,
    params:
        diameter_angstrom=lookup(
            "datasets/{dataset}/particle_diameter_angstrom", within=config
        ),
        code=core_digest("plot_crf"),
    script:
        "../workflow_scripts/plot_crf.py"
