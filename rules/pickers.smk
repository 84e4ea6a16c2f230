use rule run_job as import_picks with:
    input:
        picks=ask(pickers.picked_files),
        listed=ask(pickers.listed_picks),
        micrographs="results/{dataset}/micrographs.tsv",
        images=ask(batches.all_batches, "results/{dataset}/images/{batch}.h5"),
    output:
        coordinates="results/{dataset}/{experiment}/imported.star",
        names="results/{dataset}/{experiment}/picked_names.tsv",
        quarantine="results/{dataset}/{experiment}/quarantine.tsv",
        notices="results/{dataset}/{experiment}/notices.tsv",
    pathvars:
        job="import_picks",
    wildcard_constraints:
        experiment=one_of(pickers.from_files(PLAN)),
    params:
        **run_script("import_picks"),
        files=ask_states(pickers.picked_files),
        listed=ask_states(pickers.listed_picks),
        coordinates=ask_value(pickers.picker_keys, "format", "origin", "scale"),
        dataset=ask_value(datasets.dataset_sizes),
        micrographs=ask_value(micrographs.micrograph_names),


use rule run_job as train_picker with:
    input:
        split="results/{dataset}/split.tsv",
        coordinates="results/{dataset}/coordinates.star",
        images=ask(batches.all_batches, "results/{dataset}/images/{batch}.h5"),
    output:
        detector="results/{dataset}/{experiment}/detector.sav",
        history="results/{dataset}/{experiment}/history_picker.tsv",
    pathvars:
        job="train_picker",
    threads: 8
    resources:
        gpu=1,
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime="12h",
    params:
        **run_script("train_picker", code=ask_value(digests.picker_code, "train_picker")),
        picker=ask_value(pickers.picker_training),


use rule run_job as pick_with_program with:
    input:
        micrographs=ask(pickers.picker_micrographs),
        images="results/{dataset}/images/{batch}.h5",
        detector=ask(pickers.trained_detector),
    output:
        found="results/{dataset}/{experiment}/found/{program}/{batch}.star",
        quarantine="results/{dataset}/{experiment}/quarantine/{program}-{batch}.tsv",
    pathvars:
        job="pick_with_program/{program}/{batch}",
    wildcard_constraints:
        program=one_of(pickers.programs(on_gpu=False)),
    resources:
        mem_mb=4000,
        runtime="4h",
    params:
        **run_script("pick_with_program", code=ask_value(digests.picker_code, "pick_with_program")),
        micrographs=ask_value(micrographs.batch_paths),
        shown_paths=ask_value(micrographs.shown_paths),
        picker=ask_value(pickers.picker_picking),
        dataset=ask_value(datasets.dataset_sizes),


use rule pick_with_program as pick_with_program_on_gpu with:
    pathvars:
        job="pick_with_program_on_gpu/{program}/{batch}",
    wildcard_constraints:
        program=one_of(pickers.programs(on_gpu=True)),
    threads: 4
    resources:
        gpu=1,
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime="4h",


use rule run_job as choose_threshold with:
    input:
        split="results/{dataset}/split.tsv",
        coordinates="results/{dataset}/coordinates.star",
        images=ask(batches.all_batches, "results/{dataset}/images/{batch}.h5"),
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
        threshold=setting("experiments/{experiment}/picker/threshold"),
        edge_box_px=ask_value(experiments.edge_box_px),
