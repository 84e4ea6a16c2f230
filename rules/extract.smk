rule extract:
    input:
        micrographs=ask(micrographs.batch_files),
        simulation=ask(datasets.simulation_batch),
        images="results/{dataset}/images/{batch}.h5",
        ctf=ask(datasets.imported_ctf),
        picks="results/{dataset}/{experiment}/picks/{batch}.star",
    output:
        stack="results/{dataset}/{experiment}/particles/{batch}.mrcs",
        particles="results/{dataset}/{experiment}/particles/{batch}.star",
        dropped="results/{dataset}/{experiment}/particles/{batch}-dropped.tsv",
    log:
        "logs/{dataset}/{experiment}/extract/{batch}.log",
    benchmark:
        "results/{dataset}/{experiment}/performance/extract/{batch}.tsv"
    conda:
        "../envs/crisp.yaml"
    resources:
        mem_mb=4000,
        runtime="2h",
    params:
        micrographs=ask_value(micrographs.batch_paths),
        star_paths=ask_value(micrographs.star_paths),
        dataset=ask_value(datasets.dataset_optics),
        particles=lookup("experiments/{experiment}/particles", within=config),
        code=core_digest("extract"),
    script:
        "../workflow_scripts/extract.py"


rule join_particles:
    input:
        particles=ask(
            micrographs.all_batches,
            "results/{dataset}/{experiment}/particles/{batch}.star",
        ),
        stacks=ask(
            micrographs.all_batches,
            "results/{dataset}/{experiment}/particles/{batch}.mrcs",
        ),
    output:
        particles="results/{dataset}/{experiment}/particles.star",
    log:
        "logs/{dataset}/{experiment}/join_particles.log",
    localrule: True
    conda:
        "../envs/crisp.yaml"
    params:
        code=core_digest("join_particles"),
    script:
        "../workflow_scripts/join_particles.py"


rule count_dropped:
    input:
        picking=ask(
            micrographs.all_batches,
            "results/{dataset}/{experiment}/dropped/{batch}.tsv",
        ),
        extraction=ask(
            micrographs.all_batches,
            "results/{dataset}/{experiment}/particles/{batch}-dropped.tsv",
        ),
        picks=ask(
            micrographs.all_batches,
            "results/{dataset}/{experiment}/picks/{batch}.star",
        ),
        particles=ask(
            micrographs.all_batches,
            "results/{dataset}/{experiment}/particles/{batch}.star",
        ),
    output:
        report(
            "results/{dataset}/{experiment}/dropped.tsv",
            caption="report/dropped.rst",
            category="Data",
            labels={"dataset": "{dataset}/{experiment}", "table": "dropped picks"},
        ),
    log:
        "logs/{dataset}/{experiment}/count_dropped.log",
    localrule: True
    conda:
        "../envs/crisp.yaml"
    params:
        code=core_digest("count_dropped"),
    script:
        "../workflow_scripts/count_dropped.py"


rule cryosparc_picks:
    input:
        exposures=ask(datasets.optional_file, "exposures"),
        micrographs="results/{dataset}/micrographs.tsv",
        picks=ask(
            micrographs.all_batches,
            "results/{dataset}/{experiment}/picks/{batch}.star",
        ),
    output:
        picks="results/{dataset}/{experiment}/cryosparc/picks.cs",
        group="results/{dataset}/{experiment}/cryosparc/picks.csg",
        names="results/{dataset}/{experiment}/cryosparc/names.tsv",
    log:
        "logs/{dataset}/{experiment}/cryosparc_picks.log",
    localrule: True
    conda:
        "../envs/crisp.yaml"
    params:
        code=core_digest("cryosparc_picks"),
    script:
        "../workflow_scripts/cryosparc_picks.py"
