rule evaluate_maps:
    input:
        split="results/{dataset}/split.tsv",
        coordinates="results/{dataset}/coordinates.star",
        images=ask(micrographs.all_batches, "results/{dataset}/images/{batch}.h5"),
        labels=ask(micrographs.all_batches, "results/{dataset}/labels/{batch}.h5"),
        probability=ask(
            micrographs.all_batches,
            "results/{dataset}/{experiment}/probability/{batch}.h5",
        ),
        centers=ask(networks.centers_file),
        candidates=ask(
            micrographs.all_batches,
            "results/{dataset}/{experiment}/candidates/{batch}.star",
        ),
    output:
        pixels=report(
            "results/{dataset}/{experiment}/metrics/pixels.tsv",
            caption="report/pixels.rst",
            category="Scores",
            subcategory="{dataset}/{experiment}",
            labels={"scores": "pixels"},
        ),
        maps="results/{dataset}/{experiment}/metrics/maps.tsv",
        calibration="results/{dataset}/{experiment}/metrics/calibration.tsv",
    log:
        "logs/{dataset}/{experiment}/evaluate_maps.log",
    benchmark:
        "results/{dataset}/{experiment}/performance/evaluate_maps.tsv"
    conda:
        "../envs/crisp.yaml"
    resources:
        mem_mb=4000,
        runtime="1h",
    params:
        diameter_px=ask_value(datasets.particle_diameter_px),
        code=core_digest("evaluate_maps"),
    script:
        "../workflow_scripts/evaluate_maps.py"


rule evaluate_picks:
    input:
        split="results/{dataset}/split.tsv",
        coordinates="results/{dataset}/coordinates.star",
        images=ask(micrographs.all_batches, "results/{dataset}/images/{batch}.h5"),
        candidates=ask(
            micrographs.all_batches,
            "results/{dataset}/{experiment}/candidates/{batch}.star",
        ),
        picks=ask(
            micrographs.all_batches,
            "results/{dataset}/{experiment}/picks/{batch}.star",
        ),
        names=ask(pickers.picked_names),
    output:
        picks=report(
            "results/{dataset}/{experiment}/metrics/picks.tsv",
            caption="report/picks.rst",
            category="Scores",
            subcategory="{dataset}/{experiment}",
            labels={"scores": "picks"},
        ),
        curve="results/{dataset}/{experiment}/metrics/precision_recall.tsv",
    log:
        "logs/{dataset}/{experiment}/evaluate_picks.log",
    benchmark:
        "results/{dataset}/{experiment}/performance/evaluate_picks.tsv"
    conda:
        "../envs/crisp.yaml"
    resources:
        mem_mb=4000,
        runtime="1h",
    params:
        pixel_size=lookup("datasets/{dataset}/pixel_size", within=config),
        diameter_px=ask_value(datasets.particle_diameter_px),
        seed=config["seed"],
        code=core_digest("evaluate_picks"),
    script:
        "../workflow_scripts/evaluate_picks.py"


rule plot_training:
    input:
        history="results/{network}/history.tsv",
    output:
        report(
            "results/{network}/plots/training.png",
            caption="report/training.rst",
            category="Training",
            labels={"network": "{network}", "plot": "loss and IoU"},
        ),
    log:
        "logs/{network}/plot_training.log",
    localrule: True
    conda:
        "../envs/crisp.yaml"
    params:
        code=core_digest("plot_training"),
    script:
        "../workflow_scripts/plot_training.py"


use rule plot_training as plot_training_crf with:
    input:
        history="results/{network}/history_crf.tsv",
    output:
        report(
            "results/{network}/plots/training_crf.png",
            caption="report/training.rst",
            category="Training",
            labels={"network": "{network}", "plot": "with crf"},
        ),
    log:
        "logs/{network}/plot_training_crf.log",


rule plot_precision_recall:
    input:
        curve="results/{dataset}/{experiment}/metrics/precision_recall.tsv",
        picks="results/{dataset}/{experiment}/metrics/picks.tsv",
    output:
        report(
            "results/{dataset}/{experiment}/plots/precision_recall.png",
            caption="report/precision_recall.rst",
            category="Scores",
            subcategory="{dataset}/{experiment}",
            labels={"scores": "precision and recall of the picks"},
        ),
    log:
        "logs/{dataset}/{experiment}/plot_precision_recall.log",
    localrule: True
    conda:
        "../envs/crisp.yaml"
    params:
        code=core_digest("plot_precision_recall"),
    script:
        "../workflow_scripts/plot_precision_recall.py"


rule plot_calibration:
    input:
        calibration="results/{dataset}/{experiment}/metrics/calibration.tsv",
    output:
        report(
            "results/{dataset}/{experiment}/plots/calibration.png",
            caption="report/calibration.rst",
            category="Scores",
            subcategory="{dataset}/{experiment}",
            labels={"scores": "calibration of the picks' score"},
        ),
    log:
        "logs/{dataset}/{experiment}/plot_calibration.log",
    localrule: True
    conda:
        "../envs/crisp.yaml"
    params:
        code=core_digest("plot_calibration"),
    script:
        "../workflow_scripts/plot_calibration.py"


rule plot_search:
    input:
        search="results/{dataset}/{experiment}/search.tsv",
        centers="results/{dataset}/{experiment}/centers.yaml",
    output:
        report(
            "results/{dataset}/{experiment}/plots/search.png",
            caption="report/search_plot.rst",
            category="Centres",
            labels={"experiment": "{dataset}/{experiment}", "result": "heat maps"},
        ),
    log:
        "logs/{dataset}/{experiment}/plot_search.log",
    localrule: True
    conda:
        "../envs/crisp.yaml"
    params:
        criterion=lookup("experiments/{experiment}/centers/criterion", within=config),
        code=core_digest("plot_search"),
    script:
        "../workflow_scripts/plot_search.py"


rule plot_overlays:
    input:
        split="results/{dataset}/split.tsv",
        coordinates="results/{dataset}/coordinates.star",
        images=ask(micrographs.all_batches, "results/{dataset}/images/{batch}.h5"),
        labels=ask(micrographs.all_batches, "results/{dataset}/labels/{batch}.h5"),
        probability=ask(
            micrographs.all_batches,
            "results/{dataset}/{experiment}/probability/{batch}.h5",
        ),
        picks=ask(
            micrographs.all_batches,
            "results/{dataset}/{experiment}/picks/{batch}.star",
        ),
    output:
        report(
            directory("results/{dataset}/{experiment}/plots/overlays"),
            patterns=["{micrograph}.png"],
            caption="report/overlays.rst",
            category="Overlays",
            subcategory="{dataset}/{experiment}",
            labels={"test micrograph": "{micrograph}"},
        ),
    log:
        "logs/{dataset}/{experiment}/plot_overlays.log",
    conda:
        "../envs/crisp.yaml"
    resources:
        mem_mb=2000,
    params:
        diameter_angstrom=ask_value(datasets.diameter_angstrom),
        code=core_digest("plot_overlays"),
    script:
        "../workflow_scripts/plot_overlays.py"
