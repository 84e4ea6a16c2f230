use rule run_job as evaluate_maps with:
    input:
        split="results/{dataset}/split.tsv",
        coordinates="results/{dataset}/coordinates.star",
        images=ask(batches.all_batches, "results/{dataset}/images/{batch}.h5"),
        labels=ask(batches.all_batches, "results/{dataset}/labels/{batch}.h5"),
        probability=ask(batches.all_batches, "results/{dataset}/{experiment}/probability/{batch}.h5"),
        centers=ask(networks.centers_file),
        candidates=ask(batches.all_batches, "results/{dataset}/{experiment}/candidates/{batch}.star"),
    output:
        pixels=shown("results/{dataset}/{experiment}/metrics/pixels.tsv", "pixels", "Scores", scores="pixels"),
        maps="results/{dataset}/{experiment}/metrics/maps.tsv",
        calibration="results/{dataset}/{experiment}/metrics/calibration.tsv",
    pathvars:
        job="evaluate_maps",
    params:
        **run_script("evaluate_maps"),
        truth=ask_value(corrections.truth_remark),
        dataset=ask_value(datasets.dataset_sizes),


use rule run_job as evaluate_picks with:
    input:
        split="results/{dataset}/split.tsv",
        coordinates="results/{dataset}/coordinates.star",
        images=ask(batches.all_batches, "results/{dataset}/images/{batch}.h5"),
        candidates=ask(batches.all_batches, "results/{dataset}/{experiment}/candidates/{batch}.star"),
        picks=ask(batches.all_batches, "results/{dataset}/{experiment}/picks/{batch}.star"),
        names=ask(pickers.picked_names),
        quarantine="results/{dataset}/{experiment}/quarantine.tsv",
    output:
        picks=shown("results/{dataset}/{experiment}/metrics/picks.tsv", "picks", "Scores", scores="picks"),
        curve="results/{dataset}/{experiment}/metrics/precision_recall.tsv",
    pathvars:
        job="evaluate_picks",
    params:
        **run_script("evaluate_picks"),
        truth=ask_value(corrections.truth_remark),
        dataset=ask_value(datasets.dataset_sizes),
        seed=config["seed"],


use rule local_run_job as plot_precision_recall with:
    input:
        curve="results/{dataset}/{experiment}/metrics/precision_recall.tsv",
        picks="results/{dataset}/{experiment}/metrics/picks.tsv",
    output:
        shown(
            "results/{dataset}/{experiment}/plots/precision_recall.png",
            "precision_recall",
            "Scores",
            scores="precision and recall of the picks",
        ),
    pathvars:
        job="plot_precision_recall",
    localrule: True
    params:
        **run_script("plot_precision_recall"),


use rule local_run_job as plot_calibration with:
    input:
        calibration="results/{dataset}/{experiment}/metrics/calibration.tsv",
    output:
        shown(
            "results/{dataset}/{experiment}/plots/calibration.png",
            "calibration",
            "Scores",
            scores="calibration of the picks' score",
        ),
    pathvars:
        job="plot_calibration",
    localrule: True
    params:
        **run_script("plot_calibration"),


use rule local_run_job as plot_search with:
    input:
        search="results/{dataset}/{experiment}/search.tsv",
        centers="results/{dataset}/{experiment}/centers.yaml",
    output:
        shown("results/{dataset}/{experiment}/plots/search.png", "search_plot", "Centres", result="heat maps"),
    pathvars:
        job="plot_search",
    localrule: True
    params:
        **run_script("plot_search"),
        criterion=setting("experiments/{experiment}/centers/criterion"),


use rule run_job as plot_overlays with:
    input:
        split="results/{dataset}/split.tsv",
        coordinates="results/{dataset}/coordinates.star",
        images=ask(batches.all_batches, "results/{dataset}/images/{batch}.h5"),
        labels=ask(batches.all_batches, "results/{dataset}/labels/{batch}.h5"),
        probability=ask(batches.all_batches, "results/{dataset}/{experiment}/probability/{batch}.h5"),
        picks=ask(batches.all_batches, "results/{dataset}/{experiment}/picks/{batch}.star"),
    output:
        report(
            directory("results/{dataset}/{experiment}/plots/overlays"),
            patterns=["{micrograph}.png"],
            caption="report/overlays.rst",
            category="Overlays",
            labels={"experiment": "{dataset}/{experiment}", "test micrograph": "{micrograph}"},
        ),
    pathvars:
        job="plot_overlays",
    params:
        **run_script("plot_overlays"),
        dataset=ask_value(datasets.dataset_sizes),
