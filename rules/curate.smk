use rule run_job as measure_micrographs with:
    input:
        network=ask(networks.predictor),
        micrographs=ask(micrographs.batch_files),
        simulation=ask(datasets.simulation_batch),
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
        micrographs=ask_value(micrographs.batch_paths),
        ctf=ask_value(curation.ctf_quality),


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
        curation=setting("experiments/{experiment}/curation"),


use rule local_run_job as exclude_micrographs with:
    input:
        ask(curation.judged_measures),
    output:
        "results/{dataset}/{experiment}/excluded/{batch}.tsv",
    pathvars:
        job="exclude_micrographs/{batch}",
    localrule: True
    params:
        **run_script("exclude_micrographs"),
        curation=setting("experiments/{experiment}/curation"),
        names=ask_value(curation.batch_names),


use rule local_run_job as select_star with:
    input:
        ctf=ask(datasets.optional_file, "ctf"),
        micrographs="results/{dataset}/micrographs.tsv",
        excluded=ask(curation.all_excluded),
    output:
        "results/{dataset}/{experiment}/micrographs_selected.star",
    pathvars:
        job="select_star",
    localrule: True
    params:
        **run_script("select_star"),
        ctf=ask_states(datasets.optional_file, "ctf"),
