use rule run_job as predict with:
    input:
        network=ask(networks.predictor),
        images="results/{dataset}/images/{batch}.h5",
    output:
        probability="results/{dataset}/{experiment}/probability/{batch}.h5",
        quarantine="results/{dataset}/{experiment}/quarantine/predict-{batch}.tsv",
    pathvars:
        job="predict/{batch}",
    threads: 4
    resources:
        gpu=1,
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime="2h",
    params:
        **run_script("predict"),
        network=ask_states(networks.predictor),
        shown_paths=ask_value(micrographs.shown_paths),
        prediction=setting("experiments/{experiment}/prediction"),
        preparation=setting("datasets/{dataset}/preparation"),
        dataset=ask_value(datasets.dataset_sizes),


use rule run_job as probability_maps with:
    input:
        network=ask(networks.predictor),
        images=ask(batches.all_batches, "results/{dataset}/images/{batch}.h5"),
        probability=ask(batches.all_batches, "results/{dataset}/{experiment}/probability/{batch}.h5"),
    output:
        maps=directory("results/{dataset}/{experiment}/maps"),
        classes=directory("results/{dataset}/{experiment}/class_maps"),
        shares="results/{dataset}/{experiment}/class_shares.tsv",
    pathvars:
        job="probability_maps",
    params:
        **run_script("probability_maps"),
