rule search_centers:
    input:
        split="results/{dataset}/split/drawn.tsv",
        coordinates=ask(
            micrographs.trained_additions,
            "results/{dataset}/coordinates/{addition}.star",
        ),
        images=ask(micrographs.training_batches, "results/{dataset}/images/{batch}.h5"),
        probability=ask(
            micrographs.training_batches,
            "results/{dataset}/{experiment}/probability/{batch}.h5",
        ),
        labels=ask(experiments.searched_labels),
    output:
        centers="results/{dataset}/{experiment}/centers.yaml",
        search=report(
            "results/{dataset}/{experiment}/search.tsv",
            caption="report/search.rst",
            category="Centres",
            labels={"experiment": "{dataset}/{experiment}", "result": "all settings"},
        ),
    log:
        "logs/{dataset}/{experiment}/search_centers.log",
    benchmark:
        "results/{dataset}/{experiment}/performance/search_centers.tsv"
    wildcard_constraints:
        experiment=one_of(PLAN.with_network),
    conda:
        "../envs/crisp.yaml"
    resources:
        mem_mb=4000,
        runtime="1h",
    params:
        # not centers/threshold, which only pick takes: another one searches nothing again
        finder=lookup("experiments/{experiment}/centers/finder", within=config),
        criterion=lookup("experiments/{experiment}/centers/criterion", within=config),
        maps=lookup("experiments/{experiment}/centers/maps", within=config),
        target_precision=lookup("experiments/{experiment}/centers/target_precision", within=config),
        diameter_px=ask_value(datasets.particle_diameter_px),
        edge_box_px=ask_value(experiments.edge_box_px),
        removal=lookup("experiments/{experiment}/removal", within=config),
        diameter_angstrom=ask_value(datasets.diameter_angstrom),
        network=ask_value(networks.network_beside),
        code=core_digest("search_centers"),
    script:
        "../workflow_scripts/search_centers.py"


rule set_centers:
    output:
        centers="results/{dataset}/{experiment}/centers-given.yaml",
    log:
        "logs/{dataset}/{experiment}/set_centers.log",
    wildcard_constraints:
        experiment=one_of(PLAN.with_network),
    localrule: True
    conda:
        "../envs/crisp.yaml"
    params:
        finder=lookup("experiments/{experiment}/centers/finder", within=config),
        threshold=lookup("experiments/{experiment}/centers/threshold", within=config),
        network=ask_value(networks.network_beside),
        code=core_digest("set_centers"),
    script:
        "../workflow_scripts/set_centers.py"


rule pick:
    input:
        centers=ask(networks.centers_file),
        images="results/{dataset}/images/{batch}.h5",
        probability="results/{dataset}/{experiment}/probability/{batch}.h5",
    output:
        candidates="results/{dataset}/{experiment}/candidates/{batch}.star",
        picks="results/{dataset}/{experiment}/picks/{batch}.star",
        dropped="results/{dataset}/{experiment}/dropped/{batch}.tsv",
    log:
        "logs/{dataset}/{experiment}/pick/{batch}.log",
    benchmark:
        "results/{dataset}/{experiment}/performance/pick/{batch}.tsv"
    wildcard_constraints:
        experiment=one_of(PLAN.with_network),
    conda:
        "../envs/crisp.yaml"
    resources:
        mem_mb=4000,
        runtime="1h",
    params:
        diameter_angstrom=ask_value(datasets.diameter_angstrom),
        diameter_px=ask_value(datasets.particle_diameter_px),
        edge_box_px=ask_value(experiments.edge_box_px),
        threshold=lookup("experiments/{experiment}/centers/threshold", within=config),
        removal=lookup("experiments/{experiment}/removal", within=config),
        code=core_digest("pick"),
    script:
        "../workflow_scripts/pick.py"


rule autopick:
    input:
        micrographs="results/{dataset}/micrographs.tsv",
        picks=ask(
            micrographs.all_batches,
            "results/{dataset}/{experiment}/picks/{batch}.star",
        ),
    output:
        index="results/{dataset}/{experiment}/autopick.star",
        coordinates=directory("results/{dataset}/{experiment}/autopick"),
        coordinates_only="results/{dataset}/{experiment}/coordinates_only.star",
    log:
        "logs/{dataset}/{experiment}/autopick.log",
    localrule: True
    conda:
        "../envs/crisp.yaml"
    params:
        code=core_digest("autopick"),
    script:
        "../workflow_scripts/autopick.py"
