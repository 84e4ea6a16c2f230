use rule run_job as measure_doubt with:
    input:
        network=ask(networks.predictor),
        images="results/{dataset}/images/{batch}.h5",
        probability="results/{dataset}/{experiment}/probability/{batch}.h5",
    output:
        "results/{dataset}/{experiment}/doubt/{batch}.tsv",
    pathvars:
        job="measure_doubt/{batch}",
    wildcard_constraints:
        experiment=one_of(PLAN.with_network),
    threads: 4
    resources:
        gpu=1,
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime="2h",
    params:
        **run_script("measure_doubt"),
        prediction=setting("experiments/{experiment}/prediction"),


use rule local_run_job as suggest_micrographs with:
    input:
        doubt=ask(batches.all_batches, "results/{dataset}/{experiment}/doubt/{batch}.tsv"),
        curation="results/{dataset}/{experiment}/curation.tsv",
    output:
        "results/{dataset}/{experiment}/suggest.tsv",
    pathvars:
        job="suggest_micrographs",
    wildcard_constraints:
        experiment=one_of(PLAN.with_network),
    localrule: True
    params:
        **run_script("suggest_micrographs"),
        corrected=ask_value(corrections.corrected_names),
