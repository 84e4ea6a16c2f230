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
        code=core_digest("prepare"),
    script:
        "../workflow_scripts/prepare.py"


rule list_micrographs:
    input:
        images=all_batches("results/{dataset}/images/{batch}.h5"),
    output:
        micrographs="results/{dataset}/micrographs.tsv",
    log:
        "logs/{dataset}/list_micrographs.log",
    localrule: True
    conda:
        "../envs/crisp.yaml"
    params:
        micrographs=dataset_paths,
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
        micrographs="results/{dataset}/micrographs.tsv",
        images=all_batches("results/{dataset}/images/{batch}.h5"),
    output:
        coordinates="results/{dataset}/coordinates.star",
        names="results/{dataset}/coordinate_names.tsv",
        quarantine="results/{dataset}/quarantine/coordinates.tsv",
    log:
        "logs/{dataset}/import_coordinates.log",
    benchmark:
        "results/{dataset}/performance/import_coordinates.tsv"
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


rule split:
    input:
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
        split=lookup("datasets/{dataset}/split", within=config),
        seed=config["seed"],
        code=core_digest("split"),
    script:
        "../workflow_scripts/split.py"


rule quarantine:
    input:
        prepare=all_batches("results/{dataset}/quarantine/prepare-{batch}.tsv"),
        coordinates=coordinate_quarantine,
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
