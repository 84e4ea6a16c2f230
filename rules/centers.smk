use rule run_job as search_centers with:
    input:
        split="results/{dataset}/split/drawn.tsv",
        coordinates=ask(batches.trained_additions, "results/{dataset}/coordinates/{addition}.star"),
        images=ask(batches.training_batches, "results/{dataset}/images/{batch}.h5"),
        probability=ask(batches.training_batches, "results/{dataset}/{experiment}/probability/{batch}.h5"),
        labels=ask(experiments.searched_labels),
        network=ask(networks.predictor),
    output:
        centers="results/{dataset}/{experiment}/centers.yaml",
        search=shown("results/{dataset}/{experiment}/search.tsv", "search", "Centres", result="all settings"),
    pathvars:
        job="search_centers",
    wildcard_constraints:
        experiment=one_of(PLAN.with_network),
    params:
        **run_script("search_centers"),
        # without centers/threshold, which rule pick takes: another threshold repeats no search
        finder=setting("experiments/{experiment}/centers/finder"),
        criterion=setting("experiments/{experiment}/centers/criterion"),
        maps=setting("experiments/{experiment}/centers/maps"),
        target_precision=setting("experiments/{experiment}/centers/target_precision"),
        dataset=ask_value(datasets.dataset_sizes),
        edge_box_px=ask_value(experiments.edge_box_px),
        removal=ask_value(experiments.search_removal),
        network=ask_value(networks.network_beside),
        shipped=ask_value(shipped.shipped_record),


use rule local_run_job as set_centers with:
    output:
        centers="results/{dataset}/{experiment}/centers-given.yaml",
    pathvars:
        job="set_centers",
    wildcard_constraints:
        experiment=one_of(PLAN.with_network),
    localrule: True
    params:
        **run_script("set_centers"),
        centers=ask_value(shipped.centers_to_set),
        network=ask_value(networks.network_beside),
        shipped=ask_value(shipped.shipped_record),


use rule run_job as pick with:
    input:
        centers=ask(networks.centers_file),
        images="results/{dataset}/images/{batch}.h5",
        probability="results/{dataset}/{experiment}/probability/{batch}.h5",
    output:
        candidates="results/{dataset}/{experiment}/candidates/{batch}.star",
        picks="results/{dataset}/{experiment}/picks/{batch}.star",
        dropped="results/{dataset}/{experiment}/dropped/{batch}.tsv",
    pathvars:
        job="pick/{batch}",
    wildcard_constraints:
        experiment=one_of(PLAN.with_network),
    params:
        **run_script("pick"),
        dataset=ask_value(datasets.dataset_sizes),
        edge_box_px=ask_value(experiments.edge_box_px),
        threshold=setting("experiments/{experiment}/centers/threshold"),
        removal=setting("experiments/{experiment}/removal"),
        psi_prior=setting("experiments/{experiment}/centers/psi_prior"),


use rule local_run_job as measure_sizes with:
    input:
        picks=ask(batches.all_batches, "results/{dataset}/{experiment}/picks/{batch}.star"),
    output:
        table=shown("results/{dataset}/{experiment}/sizes.tsv", "sizes", "Picks", result="sizes of the picks"),
        suggested="results/{dataset}/{experiment}/suggested_sizes.tsv",
        plot="results/{dataset}/{experiment}/plots/sizes.png",
    pathvars:
        job="measure_sizes",
    wildcard_constraints:
        experiment=one_of(PLAN.with_network),
    localrule: True
    params:
        **run_script("measure_sizes"),
        dataset=ask_value(datasets.dataset_sizes),


use rule local_run_job as suggest_box with:
    input:
        picks=ask(experiments.first_picks),
    output:
        "results/{dataset}/{experiment}/first_sizes.tsv",
    pathvars:
        job="suggest_box",
    wildcard_constraints:
        experiment=one_of(PLAN.with_network),
    localrule: True
    params:
        **run_script("suggest_box"),
        last_batch=ask_value(experiments.last_first_batch),
        dataset=ask_value(datasets.dataset_sizes),


use rule local_run_job as autopick with:
    input:
        micrographs="results/{dataset}/micrographs.tsv",
        picks=ask(batches.all_batches, "results/{dataset}/{experiment}/picks/{batch}.star"),
        excluded=ask(curation.all_excluded),
    output:
        index="results/{dataset}/{experiment}/autopick.star",
        coordinates=directory("results/{dataset}/{experiment}/autopick"),
        coordinates_only="results/{dataset}/{experiment}/coordinates_only.star",
        cbox=directory("results/{dataset}/{experiment}/cbox"),
    pathvars:
        job="autopick",
    localrule: True
    params:
        **run_script("autopick"),
        dataset=ask_value(datasets.dataset_sizes),


use rule local_run_job as summarise_micrographs with:
    input:
        micrographs="results/{dataset}/micrographs.tsv",
        picks=ask(batches.all_batches, "results/{dataset}/{experiment}/picks/{batch}.star"),
        dropped=ask(batches.all_batches, "results/{dataset}/{experiment}/dropped/{batch}.tsv"),
        curation=ask(experiments.verdicts),
    output:
        directory("results/{dataset}/{experiment}/summaries"),
    pathvars:
        job="summarise_micrographs",
    localrule: True
    params:
        **run_script("summarise_micrographs"),
        dataset=ask_value(datasets.dataset_sizes),
