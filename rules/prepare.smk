rule prepare:
    input:
        micrographs=ask(micrographs.batch_files),
        simulation=ask(datasets.simulation_batch),
    output:
        images="results/{dataset}/images/{batch}.h5",
        quarantine="results/{dataset}/quarantine/prepare-{batch}.tsv",
    log:
        "logs/{dataset}/prepare/{batch}.log",
    benchmark:
        "results/{dataset}/performance/prepare/{batch}.tsv"
    conda:
        "../envs/crisp.yaml"
    threads: 2
    resources:
        mem_mb=4000,
        runtime="2h",
    params:
        micrographs=ask_value(micrographs.batch_paths),
        pixel_size=lookup("datasets/{dataset}/pixel_size", within=config),
        preparation=lookup("datasets/{dataset}/preparation", within=config),
        diameter_px=ask_value(datasets.particle_diameter_px),
        header_pixel_size=ask_value(micrographs.header_pixel_size),
        files=ask_value(micrographs.file_states),
        code=core_digest("prepare"),
    script:
        "../workflow_scripts/prepare.py"


rule list_micrographs:
    input:
        images=ask(micrographs.all_batches, "results/{dataset}/images/{batch}.h5"),
        quarantine=ask(
            micrographs.all_batches, "results/{dataset}/quarantine/prepare-{batch}.tsv"
        ),
    output:
        "results/{dataset}/micrographs.tsv",
    log:
        "logs/{dataset}/list_micrographs.log",
    localrule: True
    conda:
        "../envs/crisp.yaml"
    params:
        micrographs=ask_value(micrographs.dataset_paths),
        star_paths=ask_value(micrographs.star_paths),
        code=core_digest("list_micrographs"),
    script:
        "../workflow_scripts/list_micrographs.py"


rule convert_micrographs:
    input:
        micrographs=ask(micrographs.batch_files),
        images="results/{dataset}/images/{batch}.h5",
    output:
        directory("results/{dataset}/converted/{batch}"),
    log:
        "logs/{dataset}/convert_micrographs/{batch}.log",
    conda:
        "../envs/crisp.yaml"
    resources:
        mem_mb=4000,
        runtime="2h",
    params:
        micrographs=ask_value(micrographs.batch_paths),
        pixel_size=lookup("datasets/{dataset}/pixel_size", within=config),
        code=core_digest("convert_micrographs"),
    script:
        "../workflow_scripts/convert_micrographs.py"


rule link_micrographs:
    input:
        micrographs="results/{dataset}/micrographs.tsv",
        simulation=ask(datasets.simulation_batches),
        converted=ask(micrographs.converted_batches),
    output:
        directory("results/{dataset}/micrographs"),
    log:
        "logs/{dataset}/link_micrographs.log",
    localrule: True
    conda:
        "../envs/crisp.yaml"
    params:
        pixel_size=lookup("datasets/{dataset}/pixel_size", within=config),
        code=core_digest("link_micrographs"),
    script:
        "../workflow_scripts/link_micrographs.py"


rule import_coordinates:
    input:
        coordinates=ask(datasets.coordinate_files),
        listed=ask(datasets.listed_coordinates),
        images=ask(micrographs.addition_batches, "results/{dataset}/images/{batch}.h5"),
    output:
        coordinates="results/{dataset}/coordinates/{addition}.star",
        names="results/{dataset}/coordinates/{addition}-names.tsv",
        quarantine="results/{dataset}/coordinates/{addition}-quarantine.tsv",
        notices="results/{dataset}/coordinates/{addition}-notices.tsv",
    log:
        "logs/{dataset}/import_coordinates/{addition}.log",
    benchmark:
        "results/{dataset}/performance/import_coordinates/{addition}.tsv"
    conda:
        "../envs/crisp.yaml"
    resources:
        mem_mb=2000,
        runtime="1h",
    params:
        coordinates=ask_value(datasets.coordinate_settings),
        pixel_size=lookup("datasets/{dataset}/pixel_size", within=config),
        diameter_angstrom=ask_value(datasets.diameter_angstrom),
        code=core_digest("import_coordinates"),
    script:
        "../workflow_scripts/import_coordinates.py"


rule import_ctf:
    input:
        images="results/{dataset}/images/{batch}.h5",
    output:
        ctf="results/{dataset}/ctf/{batch}.star",
        quarantine="results/{dataset}/quarantine/ctf-{batch}.tsv",
    log:
        "logs/{dataset}/import_ctf/{batch}.log",
    localrule: True
    conda:
        "../envs/crisp.yaml"
    params:
        ctf=ask_value(datasets.batch_ctf),
        refused=ask_value(datasets.refused_ctf),
        file=lookup("datasets/{dataset}/ctf", within=config),
        micrographs=ask_value(micrographs.batch_paths),
        star_paths=ask_value(micrographs.star_paths),
        pixel_size=lookup("datasets/{dataset}/pixel_size", within=config),
        code=core_digest("import_ctf"),
    script:
        "../workflow_scripts/import_ctf.py"


rule join_coordinates:
    input:
        coordinates=ask(
            micrographs.all_additions, "results/{dataset}/coordinates/{addition}.star"
        ),
        names=ask(
            micrographs.all_additions,
            "results/{dataset}/coordinates/{addition}-names.tsv",
        ),
        quarantine=ask(
            micrographs.all_additions,
            "results/{dataset}/coordinates/{addition}-quarantine.tsv",
        ),
        strangers=ask(datasets.stranger_files),
    output:
        coordinates="results/{dataset}/coordinates.star",
        names="results/{dataset}/coordinate_names.tsv",
        quarantine="results/{dataset}/quarantine/coordinates.tsv",
    log:
        "logs/{dataset}/join_coordinates.log",
    localrule: True
    conda:
        "../envs/crisp.yaml"
    params:
        coordinates=ask_value(datasets.coordinate_settings),
        micrographs=ask_value(micrographs.micrograph_names),
        code=core_digest("join_coordinates"),
    script:
        "../workflow_scripts/join_coordinates.py"


rule draw_split:
    input:
        names=ask(
            micrographs.trained_additions,
            "results/{dataset}/coordinates/{addition}-names.tsv",
        ),
    output:
        split="results/{dataset}/split/drawn.tsv",
    log:
        "logs/{dataset}/draw_split.log",
    localrule: True
    conda:
        "../envs/crisp.yaml"
    params:
        micrographs=ask_value(micrographs.drawn_micrographs),
        split=ask_value(micrographs.drawn_parts),
        seed=config["seed"],
        code=core_digest("draw_split"),
    script:
        "../workflow_scripts/draw_split.py"


rule split:
    input:
        drawn="results/{dataset}/split/drawn.tsv",
        names="results/{dataset}/coordinate_names.tsv",
    output:
        split="results/{dataset}/split.tsv",
    log:
        "logs/{dataset}/split.log",
    localrule: True
    conda:
        "../envs/crisp.yaml"
    params:
        micrographs=ask_value(micrographs.dataset_paths),
        drawn_from=ask_value(micrographs.drawn_micrographs),
        split=lookup("datasets/{dataset}/split", within=config),
        code=core_digest("split"),
    script:
        "../workflow_scripts/split.py"


rule quarantine:
    input:
        micrographs="results/{dataset}/micrographs.tsv",
        coordinate_notices=ask(datasets.coordinate_notices),
        pick_notices=ask(pickers.run_notices),
        prepare=ask(
            micrographs.all_batches, "results/{dataset}/quarantine/prepare-{batch}.tsv"
        ),
        coordinates=ask(datasets.coordinate_quarantine),
        ctf=ask(datasets.ctf_quarantine),
        labels=ask(datasets.label_quarantine),
        runs=ask(pickers.run_quarantine),
    output:
        quarantine=report(
            "results/{dataset}/quarantine.tsv",
            caption="report/quarantine.rst",
            category="Data",
            labels={"dataset": "{dataset}", "table": "quarantine"},
        ),
        left_out=report(
            "results/{dataset}/left_out.tsv",
            caption="report/left_out.rst",
            category="Data",
            labels={"dataset": "{dataset}", "table": "left out"},
        ),
        notices="results/{dataset}/notices.tsv",
    log:
        "logs/{dataset}/quarantine.log",
    localrule: True
    conda:
        "../envs/crisp.yaml"
    params:
        left_out=ask_value(micrographs.left_out_paths),
        pixel_size=lookup("datasets/{dataset}/pixel_size", within=config),
        ctf_notices=ask_value(datasets.ctf_notices),
        code=core_digest("quarantine"),
    script:
        "../workflow_scripts/quarantine.py"


rule strict:
    input:
        finished=RESULTS + REPORTS,
        quarantine=targets.of_runs(["quarantine.tsv"], PLAN.run_datasets),
    output:
        "results/strict.txt",
    log:
        "logs/strict.log",
    localrule: True
    conda:
        "../envs/crisp.yaml"
    params:
        code=core_digest("strict"),
    script:
        "../workflow_scripts/strict.py"
