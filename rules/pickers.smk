use rule run_job as import_picks with:
    input:
        picks=ask(pickers.picked_files),
        listed=ask(pickers.listed_picks),
        micrographs="results/{dataset}/micrographs.tsv",
        images=ask(micrographs.all_batches, "results/{dataset}/images/{batch}.h5"),
    output:
        coordinates="results/{dataset}/{experiment}/imported.star",
        names="results/{dataset}/{experiment}/picked_names.tsv",
        quarantine="results/{dataset}/{experiment}/quarantine.tsv",
        notices="results/{dataset}/{experiment}/notices.tsv",
    pathvars:
        job="import_picks",
    params:
        **run_script("import_picks"),
        coordinates=ask_value(pickers.picker_keys, "format", "origin", "scale"),
        dataset=ask_value(datasets.dataset_sizes),
        micrographs=ask_value(micrographs.micrograph_names),


use rule run_job as train_topaz with:
    input:
        split="results/{dataset}/split.tsv",
        coordinates="results/{dataset}/coordinates.star",
        images=ask(micrographs.all_batches, "results/{dataset}/images/{batch}.h5"),
    output:
        detector="results/{dataset}/{experiment}/detector.sav",
        history="results/{dataset}/{experiment}/history_topaz.tsv",
    pathvars:
        job="train_topaz",
    threads: 8
    resources:
        gpu=1,
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime="12h",
    params:
        **run_script("train_topaz"),
        picker=ask_value(pickers.picker_training),


use rule run_job as pick_topaz with:
    input:
        images="results/{dataset}/images/{batch}.h5",
        detector=ask(pickers.topaz_detector),
    output:
        found="results/{dataset}/{experiment}/found/topaz/{batch}.star",
        quarantine="results/{dataset}/{experiment}/quarantine/topaz-{batch}.tsv",
    pathvars:
        job="pick_topaz/{batch}",
    threads: 4
    resources:
        gpu=1,
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime="4h",
    params:
        **run_script("pick_topaz"),
        micrographs=ask_value(micrographs.batch_paths),
        picker=ask_value(pickers.picker_keys, "program", "model", "pixel_size", "radius_diameters"),
        dataset=ask_value(datasets.dataset_sizes),


use rule run_job as pick_relion_log with:
    input:
        micrographs=ask(micrographs.batch_files),
        simulation=ask(datasets.simulation_batch),
        images="results/{dataset}/images/{batch}.h5",
    output:
        found="results/{dataset}/{experiment}/found/relion-log/{batch}.star",
        quarantine="results/{dataset}/{experiment}/quarantine/relion-log-{batch}.tsv",
    pathvars:
        job="pick_relion_log/{batch}",
    resources:
        mem_mb=4000,
        runtime="4h",
    params:
        **run_script("pick_relion_log"),
        micrographs=ask_value(micrographs.batch_paths),
        picker=ask_value(
            pickers.picker_keys,
            "diameter_min_angstrom",
            "diameter_max_angstrom",
            "threshold_adjustment",
            "lowpass_angstrom",
            "white_particles",
        ),
        dataset=ask_value(datasets.dataset_sizes),


use rule run_job as pick_skimage_log with:
    input:
        images="results/{dataset}/images/{batch}.h5",
    output:
        "results/{dataset}/{experiment}/found/skimage-log/{batch}.star",
    pathvars:
        job="pick_skimage_log/{batch}",
    params:
        **run_script("pick_skimage_log"),
        picker=ask_value(
            pickers.picker_keys,
            "diameters",
            "n_scales",
            "least_score",
            "overlap",
            "white_particles",
        ),
        dataset=ask_value(datasets.dataset_sizes),


use rule run_job as choose_threshold with:
    input:
        split="results/{dataset}/split.tsv",
        coordinates="results/{dataset}/coordinates.star",
        images=ask(micrographs.all_batches, "results/{dataset}/images/{batch}.h5"),
        found=ask(pickers.all_found),
        names=ask(pickers.picked_names),
    output:
        threshold="results/{dataset}/{experiment}/threshold.yaml",
    pathvars:
        job="choose_threshold",
    wildcard_constraints:
        experiment=one_of(PLAN.pickers),
    params:
        **run_script("choose_threshold"),
        dataset=ask_value(datasets.dataset_sizes),
        edge_box_px=ask_value(experiments.edge_box_px),


use rule run_job as keep_picks with:
    input:
        images="results/{dataset}/images/{batch}.h5",
        found=ask(pickers.found_picks),
        threshold=ask(pickers.chosen_threshold),
    output:
        candidates="results/{dataset}/{experiment}/candidates/{batch}.star",
        picks="results/{dataset}/{experiment}/picks/{batch}.star",
        dropped="results/{dataset}/{experiment}/dropped/{batch}.tsv",
    pathvars:
        job="keep_picks/{batch}",
    wildcard_constraints:
        experiment=one_of(PLAN.pickers),
    params:
        **run_script("keep_picks"),
        threshold=lookup("experiments/{experiment}/picker/threshold", within=config),
        edge_box_px=ask_value(experiments.edge_box_px),
