use rule train as train_crf with:
    input:
        network=ask(networks.before_crf),
        splits=ask(networks.training_splits),
        images=ask(networks.training_files, "results/{dataset}/images/{batch}.h5"),
        labels=ask(networks.training_files, "results/{dataset}/labels/{batch}.h5"),
    output:
        network="results/{network}/crf.pt",
        history="results/{network}/history_crf.tsv",
    pathvars:
        job="train_crf",
    wildcard_constraints:
        network=one_of(networks.finetuned(PLAN)),
    resources:
        gpu=1,
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime="12h",
    params:
        **run_script("train_crf", code=ask_value(digests.training_code, "train_crf")),
        crf=ask_value(networks.training_section, "crf"),
        resume=below_prefix("results/{network}/training/last_crf.pt"),


use rule network_job as tune_crf with:
    input:
        network=ask(networks.before_crf),
        splits=ask(networks.training_splits),
        images=ask(networks.training_files, "results/{dataset}/images/{batch}.h5"),
        labels=ask(networks.training_files, "results/{dataset}/labels/{batch}.h5"),
    output:
        network="results/{network}/crf.pt",
        table="results/{network}/history_crf.tsv",
    pathvars:
        job="train_crf",
    wildcard_constraints:
        network=one_of(networks.tuned(PLAN)),
    threads: 2
    params:
        **run_script("tune_crf"),
        training=ask_value(networks.training_section, "training"),
        prediction=ask_value(networks.training_section, "prediction", "tiles_per_step"),
        datasets=ask_value(networks.training_sources),
        seed=ask_value(networks.training_seed),


use rule plot_training as plot_training_crf with:
    input:
        history="results/{network}/history_crf.tsv",
    output:
        shown("results/{network}/plots/training_crf.png", "training", "Training", plot="with crf"),
    pathvars:
        job="plot_training_crf",
    localrule: True


use rule network_job as plot_crf with:
    input:
        network="results/{network}/crf.pt",
        split=ask(networks.shown_split),
        images=ask(networks.shown_files, "results/{dataset}/images/{batch}.h5"),
    output:
        shown("results/{network}/plots/crf.png", "crf", "Training", plot="effect of the CRF"),
    pathvars:
        job="plot_crf",
    wildcard_constraints:
        network=one_of(networks.with_crf(PLAN)),
    params:
        **run_script("plot_crf"),
        dataset=ask_value(networks.shown_sizes),
