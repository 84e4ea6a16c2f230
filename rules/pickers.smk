rule import_picks:
    input:
        picks=picked_files,
        listed=listed_picks,
        micrographs="results/{dataset}/micrographs.tsv",
        images=all_batches("results/{dataset}/images/{batch}.h5"),
    output:
        coordinates="results/{dataset}/{experiment}/imported.star",
        names="results/{dataset}/{experiment}/picked_names.tsv",
        quarantine="results/{dataset}/{experiment}/quarantine.tsv",
    log:
        "logs/{dataset}/{experiment}/import_picks.log",
    conda:
        "../envs/crisp.yaml"
    resources:
        mem_mb=2000,
        runtime="1h",
    params:
        coordinates=picker_keys("format", "origin", "scale"),
        micrographs=lambda wildcards: micrograph_names(wildcards.dataset),
        diameter_angstrom=lookup(
            "datasets/{dataset}/particle_diameter_angstrom", within=config
        ),
        code=core_digest("import_picks"),
    script:
        "../workflow_scripts/import_picks.py"


rule train_topaz:
    input:
        split="results/{dataset}/split.tsv",
        coordinates="results/{dataset}/coordinates.star",
        images=all_batches("results/{dataset}/images/{batch}.h5"),
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
        picker=training_keys,
        code=core_digest("train_topaz"),
    script:
        "../workflow_scripts/train_topaz.py"


rule pick_topaz:
    input:
        images="results/{dataset}/images/{batch}.h5",
        detector=topaz_detector,
    output:
        "results/{dataset}/{experiment}/found/topaz/{batch}.star",
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
        picker=picker_keys("program", "model", "pixel_size", "radius_diameters"),
        diameter_angstrom=lookup(
            "datasets/{dataset}/particle_diameter_angstrom", within=config
        ),
        code=core_digest("pick_topaz"),
    script:
        "../workflow_scripts/pick_topaz.py"


rule pick_relion_log:
    input:
        micrographs=batch_files,
        simulation=simulation_batch,
        images="results/{dataset}/images/{batch}.h5",
    output:
        "results/{dataset}/{experiment}/found/relion-log/{batch}.star",
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
        micrographs=batch_paths,
        picker=picker_keys(
            "diameter_min_angstrom",
            "diameter_max_angstrom",
            "threshold_adjustment",
            "lowpass_angstrom",
            "white_particles",
        ),
        pixel_size=lookup("datasets/{dataset}/pixel_size", within=config),
        diameter_angstrom=lookup(
            "datasets/{dataset}/particle_diameter_angstrom", within=config
        ),
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
        picker=picker_keys(
            "diameters", "n_scales", "least_score", "overlap", "white_particles"
        ),
        diameter_angstrom=lookup(
            "datasets/{dataset}/particle_diameter_angstrom", within=config
        ),
        code=core_digest("pick_skimage_log"),
    script:
        "../workflow_scripts/pick_skimage_log.py"


rule choose_threshold:
    input:
        split="results/{dataset}/split.tsv",
        coordinates="results/{dataset}/coordinates.star",
        images=all_batches("results/{dataset}/images/{batch}.h5"),
        found=all_found,
        names=picked_names,
    output:
        threshold="results/{dataset}/{experiment}/threshold.yaml",
    log:
        "logs/{dataset}/{experiment}/choose_threshold.log",
    wildcard_constraints:
        experiment=one_of(PICKERS),
    conda:
        "../envs/crisp.yaml"
    params:
        diameter_px=particle_diameter_px,
        edge_box_px=edge_box_px,
        code=core_digest("choose_threshold"),
    script:
        "../workflow_scripts/choose_threshold.py"


rule keep_picks:
    input:
        images="results/{dataset}/images/{batch}.h5",
        found=found_picks,
        threshold=chosen_threshold,
    output:
        candidates="results/{dataset}/{experiment}/candidates/{batch}.star",
        picks="results/{dataset}/{experiment}/picks/{batch}.star",
        dropped="results/{dataset}/{experiment}/dropped/{batch}.tsv",
    log:
        "logs/{dataset}/{experiment}/keep_picks/{batch}.log",
    wildcard_constraints:
        experiment=one_of(PICKERS),
    conda:
        "../envs/crisp.yaml"
    params:
        threshold=lookup("experiments/{experiment}/picker/threshold", within=config),
        edge_box_px=edge_box_px,
        code=core_digest("keep_picks"),
    script:
        "../workflow_scripts/keep_picks.py"
