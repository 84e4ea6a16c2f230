use rule dataset_job as compare_picks with:
    input:
        split="results/{dataset}/split.tsv",
        coordinates="results/{dataset}/coordinates.star",
        images=ask(batches.all_batches, "results/{dataset}/images/{batch}.h5"),
        picks=ask(pickers.compared_stars, "picks"),
        candidates=ask(pickers.compared_stars, "candidates"),
        names=ask(pickers.compared_names),
        quarantine=ask(pickers.compared_quarantines),
    output:
        table=shown("results/{dataset}/comparisons/{comparison}/table.tsv", "comparison", "Comparisons", form="numbers"),
        curves="results/{dataset}/comparisons/{comparison}/precision_recall.tsv",
        overlap="results/{dataset}/comparisons/{comparison}/overlap.tsv",
        consensus="results/{dataset}/comparisons/{comparison}/consensus.star",
    pathvars:
        job="comparisons/{comparison}",
    params:
        **run_script("compare_picks"),
        comparison=setting("comparisons/{comparison}"),
        facts=ask_value(pickers.entry_facts),
        jobs=ask_value(pickers.entry_jobs),
        dataset=ask_value(datasets.dataset_sizes),
        seed=config["seed"],


use rule local_dataset_job as plot_comparison with:
    input:
        table="results/{dataset}/comparisons/{comparison}/table.tsv",
        curves="results/{dataset}/comparisons/{comparison}/precision_recall.tsv",
        overlap="results/{dataset}/comparisons/{comparison}/overlap.tsv",
    output:
        curves=shown("results/{dataset}/comparisons/{comparison}/pr.png", "comparison", "Comparisons", form="curves"),
        overlap=shown(
            "results/{dataset}/comparisons/{comparison}/overlap.png", "overlap", "Comparisons", form="overlap"
        ),
    pathvars:
        job="comparisons/{comparison}-plot",
    localrule: True
    params:
        **run_script("plot_comparison"),
