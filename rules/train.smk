use rule network_job as train with:
    input:
        start=ask(starts.start_files),
        splits=ask(networks.training_splits),
        images=ask(networks.training_files, "results/{dataset}/images/{batch}.h5"),
        labels=ask(networks.training_files, "results/{dataset}/labels/{batch}.h5"),
    output:
        network="results/{network}/network.pt",
        history="results/{network}/history.tsv",
    pathvars:
        job="train",
    threads: 8
    resources:
        gpu=ask_value(networks.training_gpus),
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime="12h",
    params:
        **run_script("train", code=ask_value(digests.training_code, "train")),
        network=ask_value(networks.training_section, "network"),
        start=ask_value(starts.start_record),
        labelled=ask_value(starts.labelled_classes),
        # settings that change only time or memory are no parameters; the script takes them from the config
        training=ask_value(networks.training_section, "training", "workers"),
        prediction=ask_value(networks.training_section, "prediction", "tiles_per_step"),
        datasets=ask_value(networks.training_sources),
        seed=ask_value(networks.training_seed),
        # not an output, which Snakemake would delete when the job is killed
        resume=below_prefix("results/{network}/training/last.pt"),


use rule local_network_job as plot_training with:
    input:
        history="results/{network}/history.tsv",
    output:
        shown("results/{network}/plots/training.png", "training", "Training", plot="loss and IoU"),
    pathvars:
        job="plot_training",
    localrule: True
    params:
        **run_script("plot_training"),
