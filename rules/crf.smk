rule train_crf:
    input:
        network=ask(networks.before_crf),
        splits=ask(networks.training_splits),
        images=ask(networks.training_files, "results/{dataset}/images/{batch}.h5"),
        labels=ask(networks.training_files, "results/{dataset}/labels/{batch}.h5"),
    output:
        network="results/{network}/crf.pt",
        history="results/{network}/history_crf.tsv",
    log:
        "logs/{network}/train_crf.log",
    benchmark:
        "results/{network}/performance/train_crf.tsv"
    wildcard_constraints:
        network=one_of(networks.finetuned(PLAN)),
    conda:
        "../envs/crisp.yaml"
    threads: 8
    resources:
        gpu=1,
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime="12h",
    params:
        crf=ask_value(networks.training_section, "crf"),
        # what costs only time or memory may change without a new training; the script takes it from the config
        training=ask_value(networks.training_section, "training", "workers"),
        prediction=ask_value(networks.training_section, "prediction", "tiles_per_step"),
        datasets=ask_value(networks.training_sources),
        seed=ask_value(networks.training_seed),
        # not an output, which Snakemake would delete when the job is killed
        resume=below_prefix("results/{network}/training/last_crf.pt"),
        code=core_digest("train_crf"),
    script:
        "../workflow_scripts/train_crf.py"


rule plot_crf:
    input:
        network="results/{network}/crf.pt",
        split=ask(networks.shown_split),
        images=ask(networks.shown_files, "results/{dataset}/images/{batch}.h5"),
    output:
        report(
            "results/{network}/plots/crf.png",
            caption="report/crf.rst",
            category="Training",
            labels={
                "network": "{network}",
                "plot": "what the CRF does",
            },
        ),
    log:
        "logs/{network}/plot_crf.log",
    wildcard_constraints:
        network=one_of(networks.with_crf(PLAN)),
    conda:
        "../envs/crisp.yaml"
    resources:
        mem_mb=4000,
    params:
        diameter_angstrom=ask_value(networks.shown_diameter),
        code=core_digest("plot_crf"),
    script:
        "../workflow_scripts/plot_crf.py"
