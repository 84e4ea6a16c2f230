use rule run_job as measure_micrographs with:
    input:
        network=ask(networks.predicting_network),
        images="results/{dataset}/images/{batch}.h5",
        probability="results/{dataset}/{experiment}/probability/{batch}.h5",
        picks="results/{dataset}/{experiment}/picks/{batch}.star",
    output:
        "results/{dataset}/{experiment}/curation/{batch}.tsv",
    pathvars:
        job="measure_micrographs/{batch}",
    wildcard_constraints:
        experiment=one_of(PLAN.with_network),
    params:
        **run_script("measure_micrographs"),
        dataset=ask_value(datasets.dataset_sizes),


use rule local_run_job as curate with:
    input:
        ask(batches.all_batches, "results/{dataset}/{experiment}/curation/{batch}.tsv"),
    output:
        shown("results/{dataset}/{experiment}/curation.tsv", "curation", "Data", table="verdict on every micrograph"),
    pathvars:
        job="curate",
    wildcard_constraints:
        experiment=one_of(PLAN.with_network),
    localrule: True
    params:
        **run_script("curate"),
        curation=lookup("experiments/{experiment}/curation", within=config),
