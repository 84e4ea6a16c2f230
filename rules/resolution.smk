rule extract_for_resolution:
    input:
        unpack(ask(resolution.resolution_batch)),
        micrographs=ask(micrographs.batch_files),
        simulation=ask(datasets.simulation_batch),
        others=ask(resolution.other_pick_files),
        refined=ask(resolution.refined_files),
        images="results/{dataset}/images/{batch}.h5",
        list="results/{dataset}/micrographs.tsv",
    output:
        stack="results/{dataset}/{experiment}/resolution/stacks/{batch}.mrcs",
        particles="results/{dataset}/{experiment}/resolution/stacks/{batch}.star",
    log:
        "logs/{dataset}/{experiment}/extract_for_resolution/{batch}.log",
    benchmark:
        "results/{dataset}/{experiment}/performance/extract_for_resolution/{batch}.tsv"
    conda:
        "../envs/crisp.yaml"
    resources:
        mem_mb=4000,
        runtime="2h",
    params:
        micrographs=ask_value(micrographs.batch_paths),
        dataset=ask_value(datasets.dataset_optics),
        others=ask_value(resolution.other_picks),
        refined=ask_value(resolution.refined_sets),
        false_sets=ask_value(resolution.false_sets),
        part=lookup("experiments/{experiment}/resolution/part", within=config),
        box_angstrom=lookup(
            "experiments/{experiment}/particles/box_angstrom", within=config
        ),
        pixel_size=lookup(
            "experiments/{experiment}/resolution/pixel_size", within=config
        ),
        seed=config["seed"],
        code=core_digest("extract_for_resolution"),
    script:
        "../workflow_scripts/extract_for_resolution.py"


rule draw_particles:
    input:
        particles=ask(
            micrographs.all_batches,
            "results/{dataset}/{experiment}/resolution/stacks/{batch}.star",
        ),
    output:
        particles=directory("results/{dataset}/{experiment}/resolution/sets"),
    log:
        "logs/{dataset}/{experiment}/draw_particles.log",
    conda:
        "../envs/crisp.yaml"
    resources:
        mem_mb=4000,
        runtime="1h",
    params:
        sets=ask_value(resolution.resolution_sets),
        false_sets=ask_value(resolution.false_sets),
        n_particles=lookup(
            "experiments/{experiment}/resolution/n_particles", within=config
        ),
        seeds=lookup("experiments/{experiment}/resolution/seeds", within=config),
        code=core_digest("draw_particles"),
    script:
        "../workflow_scripts/draw_particles.py"


rule reconstruct_picks:
    input:
        particles="results/{dataset}/{experiment}/resolution/sets",
        stacks=ask(
            micrographs.all_batches,
            "results/{dataset}/{experiment}/resolution/stacks/{batch}.mrcs",
        ),
    output:
        half1="results/{dataset}/{experiment}/resolution/maps/{set}-{seed}-half1.mrc",
        half2="results/{dataset}/{experiment}/resolution/maps/{set}-{seed}-half2.mrc",
    log:
        "logs/{dataset}/{experiment}/reconstruct_picks/{set}-{seed}.log",
    benchmark:
        "results/{dataset}/{experiment}/performance/reconstruct_picks/{set}-{seed}.tsv"
    wildcard_constraints:
        set=r"[A-Za-z][A-Za-z0-9_]*(-[0-9.]+)?",
        seed=r"\d+",
    conda:
        "../envs/crisp.yaml"
    resources:
        mem_mb=8000,
        runtime="4h",
    params:
        star=below_prefix(
            "results/{dataset}/{experiment}/resolution/sets/{set}-{seed}.star"
        ),
        program=lookup("experiments/{experiment}/resolution/program", within=config),
        symmetry=lookup("experiments/{experiment}/resolution/symmetry", within=config),
        code=core_digest("reconstruct_picks"),
    script:
        "../workflow_scripts/reconstruct_picks.py"


rule measure_resolution:
    input:
        particles="results/{dataset}/{experiment}/resolution/sets",
        maps=ask(resolution.resolution_maps),
        mask=ask(resolution.resolution_mask),
    output:
        fsc="results/{dataset}/{experiment}/resolution/fsc.tsv",
        resolution=report(
            "results/{dataset}/{experiment}/resolution/resolution.tsv",
            caption="report/resolution.rst",
            category="Resolution",
            labels={"experiment": "{dataset}/{experiment}", "as": "numbers"},
        ),
        mask="results/{dataset}/{experiment}/resolution/mask.mrc",
        half1="results/{dataset}/{experiment}/resolution/half1.mrc",
        half2="results/{dataset}/{experiment}/resolution/half2.mrc",
    log:
        "logs/{dataset}/{experiment}/measure_resolution.log",
    benchmark:
        "results/{dataset}/{experiment}/performance/measure_resolution.tsv"
    conda:
        "../envs/crisp.yaml"
    threads: 2
    resources:
        mem_mb=8000,
        runtime="2h",
    params:
        sets=ask_value(resolution.resolution_sets),
        resolution=lookup("experiments/{experiment}/resolution", within=config),
        code=core_digest("measure_resolution"),
    script:
        "../workflow_scripts/measure_resolution.py"


rule plot_resolution:
    input:
        fsc="results/{dataset}/{experiment}/resolution/fsc.tsv",
        resolution="results/{dataset}/{experiment}/resolution/resolution.tsv",
    output:
        report(
            "results/{dataset}/{experiment}/resolution/fsc.png",
            caption="report/resolution.rst",
            category="Resolution",
            labels={"experiment": "{dataset}/{experiment}", "as": "curves"},
        ),
    log:
        "logs/{dataset}/{experiment}/plot_resolution.log",
    localrule: True
    conda:
        "../envs/crisp.yaml"
    params:
        code=core_digest("plot_resolution"),
    script:
        "../workflow_scripts/plot_resolution.py"
