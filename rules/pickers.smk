rule import_picks:
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
    log:
        "logs/{dataset}/{experiment}/import_picks.log",
    conda:
        "../envs/crisp.yaml"
    resources:
        mem_mb=2000,
        runtime="1h",
    params:
        coordinates=ask_value(pickers.picker_keys, "format", "origin", "scale"),
        pixel_size=lookup("datasets/{dataset}/pixel_size", within=config),
        micrographs=ask_value(micrographs.micrograph_names),
        diameter_angstrom=ask_value(datasets.diameter_angstrom),
        code=core_digest("import_picks"),
    script:
        "../workflow_scripts/import_picks.py"


rule train_topaz:
    input:
        split="results/{dataset}/split.tsv",
        coordinates="results/{dataset}/coordinates.star",
        images=ask(micrographs.all_batches, "results/{dataset}/images/{batch}.h5"),
    output:
        detector="results/{dataset}/{experiment}/detector.sav",
        history="results/{dataset}/{experiment}/history_topaz.tsv",
    log:
        "logs/{dataset}/{experiment}/train_topaz.log",
    benchmark:
        "results/{dataset}/{experiment}/performance/train_topaz.tsv"
    conda:
        "../envs/crisp.yaml"
    threads: 8
    resources:
        gpu=1,
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime="12h",
    params:
        picker=ask_value(pickers.picker_training),
        code=core_digest("train_topaz"),
    script:
        "../workflow_scripts/train_topaz.py"


rule pick_topaz:
    input:
        images="results/{dataset}/images/{batch}.h5",
        detector=ask(pickers.topaz_detector),
    output:
        found="results/{dataset}/{experiment}/found/topaz/{batch}.star",
        quarantine="results/{dataset}/{experiment}/quarantine/topaz-{batch}.tsv",
    log:
        "logs/{dataset}/{experiment}/pick_topaz/{batch}.log",
    benchmark:
        "results/{dataset}/{experiment}/performance/pick_topaz/{batch}.tsv"
    conda:
        "../envs/crisp.yaml"
    threads: 4
    resources:
        gpu=1,
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime="4h",
    params:
        micrographs=ask_value(micrographs.batch_paths),
        picker=ask_value(pickers.picker_keys, "program", "model", "pixel_size", "radius_diameters"),
        diameter_angstrom=ask_value(datasets.diameter_angstrom),
        code=core_digest("pick_topaz"),
    script:
        "../workflow_scripts/pick_topaz.py"


rule pick_relion_log:
    input:
        micrographs=ask(micrographs.batch_files),
        simulation=ask(datasets.simulation_batch),
        images="results/{dataset}/images/{batch}.h5",
    output:
        found="results/{dataset}/{experiment}/found/relion-log/{batch}.star",
        quarantine="results/{dataset}/{experiment}/quarantine/relion-log-{batch}.tsv",
    log:
        "logs/{dataset}/{experiment}/pick_relion_log/{batch}.log",
    benchmark:
        "results/{dataset}/{experiment}/performance/pick_relion_log/{batch}.tsv"
    conda:
        "../envs/crisp.yaml"
    resources:
        mem_mb=4000,
        runtime="4h",
    params:
        micrographs=ask_value(micrographs.batch_paths),
        picker=ask_value(
            pickers.picker_keys,
            "diameter_min_angstrom",
            "diameter_max_angstrom",
            "threshold_adjustment",
            "lowpass_angstrom",
            "white_particles",
        ),
        pixel_size=lookup("datasets/{dataset}/pixel_size", within=config),
        diameter_angstrom=ask_value(datasets.diameter_angstrom),
        code=core_digest("pick_relion_log"),
    script:
        "../workflow_scripts/pick_relion_log.py"


rule pick_skimage_log:
    input:
        images="results/{dataset}/images/{batch}.h5",
    output:
        "results/{dataset}/{experiment}/found/skimage-log/{batch}.star",
    log:
        "logs/{dataset}/{experiment}/pick_skimage_log/{batch}.log",
    benchmark:
        "results/{dataset}/{experiment}/performance/pick_skimage_log/{batch}.tsv"
    conda:
        "../envs/crisp.yaml"
    resources:
        mem_mb=2000,
        runtime="1h",
    params:
        picker=ask_value(
            pickers.picker_keys,
            "diameters",
            "n_scales",
            "least_score",
            "overlap",
            "white_particles",
        ),
        diameter_angstrom=ask_value(datasets.diameter_angstrom),
        code=core_digest("pick_skimage_log"),
    script:
        "../workflow_scripts/pick_skimage_log.py"


rule choose_threshold:
    input:
        split="results/{dataset}/split.tsv",
        coordinates="results/{dataset}/coordinates.star",
        images=ask(micrographs.all_batches, "results/{dataset}/images/{batch}.h5"),
        found=ask(pickers.all_found),
        names=ask(pickers.picked_names),
    output:
        threshold="results/{dataset}/{experiment}/threshold.yaml",
    log:
        "logs/{dataset}/{experiment}/choose_threshold.log",
    wildcard_constraints:
        experiment=one_of(PLAN.pickers),
    conda:
        "../envs/crisp.yaml"
    params:
        diameter_px=ask_value(datasets.particle_diameter_px),
        edge_box_px=ask_value(experiments.edge_box_px),
        code=core_digest("choose_threshold"),
    script:
        "../workflow_scripts/choose_threshold.py"


rule keep_picks:
    input:
        images="results/{dataset}/images/{batch}.h5",
        found=ask(pickers.found_picks),
        threshold=ask(pickers.chosen_threshold),
    output:
        candidates="results/{dataset}/{experiment}/candidates/{batch}.star",
        picks="results/{dataset}/{experiment}/picks/{batch}.star",
        dropped="results/{dataset}/{experiment}/dropped/{batch}.tsv",
    log:
        "logs/{dataset}/{experiment}/keep_picks/{batch}.log",
    wildcard_constraints:
        experiment=one_of(PLAN.pickers),
    conda:
        "../envs/crisp.yaml"
    params:
        threshold=lookup("experiments/{experiment}/picker/threshold", within=config),
        edge_box_px=ask_value(experiments.edge_box_px),
        code=core_digest("keep_picks"),
    script:
        "../workflow_scripts/keep_picks.py"
