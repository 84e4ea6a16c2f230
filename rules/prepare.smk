rule prepare:
    input:
        micrographs=batch_files,
        simulation=simulation_batch,
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
        micrographs=batch_paths,
        pixel_size=lookup("datasets/{dataset}/pixel_size", within=config),
        preparation=lookup("datasets/{dataset}/preparation", within=config),
        diameter_px=particle_diameter_px,
        code=core_digest("prepare"),
    script:
        "../workflow_scripts/prepare.py"


rule list_micrographs:
    input:
        images=all_batches("results/{dataset}/images/{batch}.h5"),
        quarantine=all_batches("results/{dataset}/quarantine/prepare-{batch}.tsv"),
    output:
        micrographs="results/{dataset}/micrographs.tsv",
    log:
        "logs/{dataset}/list_micrographs.log",
    localrule: True
    conda:
        "../envs/crisp.yaml"
    params:
        micrographs=dataset_paths,
        star_paths=star_paths,
        code=core_digest("list_micrographs"),
    script:
        "../workflow_scripts/list_micrographs.py"


rule link_micrographs:
    input:
        micrographs="results/{dataset}/micrographs.tsv",
        simulation=simulation_batches,
    output:
        directory("results/{dataset}/micrographs"),
    log:
        "logs/{dataset}/link_micrographs.log",
    localrule: True
    conda:
        "../envs/crisp.yaml"
    params:
        code=core_digest("link_micrographs"),
    script:
        "../workflow_scripts/link_micrographs.py"


rule import_coordinates:
    input:
        coordinates=coordinate_files,
        listed=listed_coordinates,
        images=addition_batches("results/{dataset}/images/{batch}.h5"),
    output:
        coordinates="results/{dataset}/coordinates/{addition}.star",
        names="results/{dataset}/coordinates/{addition}-names.tsv",
        quarantine="results/{dataset}/coordinates/{addition}-quarantine.tsv",
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
        coordinates=coordinate_settings,
        diameter_angstrom=lookup(
            "datasets/{dataset}/particle_diameter_angstrom", within=config
        ),
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
        ctf=batch_ctf,
        file=lookup("datasets/{dataset}/ctf", within=config),
        micrographs=batch_paths,
        star_paths=star_paths,
        pixel_size=lookup("datasets/{dataset}/pixel_size", within=config),
        code=core_digest("import_ctf"),
    script:
        "../workflow_scripts/import_ctf.py"


rule join_coordinates:
    input:
        coordinates=of_all_additions("results/{dataset}/coordinates/{addition}.star"),
        names=of_all_additions("results/{dataset}/coordinates/{addition}-names.tsv"),
        quarantine=of_all_additions(
            "results/{dataset}/coordinates/{addition}-quarantine.tsv"
        ),
        strangers=stranger_files,
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
        coordinates=coordinate_settings,
        micrographs=lambda wildcards: micrograph_names(wildcards.dataset),
        code=core_digest("join_coordinates"),
    script:
        "../workflow_scripts/join_coordinates.py"


rule draw_split:
    input:
        names=of_trained_additions("results/{dataset}/coordinates/{addition}-names.tsv"),
    output:
        split="results/{dataset}/split/drawn.tsv",
    log:
        "logs/{dataset}/draw_split.log",
    localrule: True
    conda:
        "../envs/crisp.yaml"
    params:
        micrographs=drawn_micrographs,
        split=drawn_parts,
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
        micrographs=dataset_paths,
        drawn_from=drawn_micrographs,
        split=lookup("datasets/{dataset}/split", within=config),
        code=core_digest("split"),
    script:
        "../workflow_scripts/split.py"


rule quarantine:
    input:
        prepare=all_batches("results/{dataset}/quarantine/prepare-{batch}.tsv"),
        coordinates=coordinate_quarantine,
        ctf=ctf_quarantine,
        picks=picks_quarantine,
    output:
        report(
            "results/{dataset}/quarantine.tsv",
            caption="report/quarantine.rst",
            category="Data",
            labels={"dataset": "{dataset}", "table": "quarantine"},
        ),
    log:
        "logs/{dataset}/quarantine.log",
    localrule: True
    conda:
        "../envs/crisp.yaml"
    params:
        code=core_digest("quarantine"),
    script:
        "../workflow_scripts/quarantine.py"


rule strict:
    input:
        finished=RESULTS + REPORTS,
        quarantine=collect("results/{dataset}/quarantine.tsv", dataset=RUN_DATASETS),
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
