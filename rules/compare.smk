rule compare_picks:
    input:
        split="results/{dataset}/split.tsv",
        coordinates="results/{dataset}/coordinates.star",
        images=ask(micrographs.all_batches, "results/{dataset}/images/{batch}.h5"),
        picks=ask(pickers.compared_stars, "picks"),
        candidates=ask(pickers.compared_stars, "candidates"),
        names=ask(pickers.compared_names),
    output:
        table=report(
            "results/{dataset}/comparisons/{comparison}/table.tsv",
            caption="report/comparison.rst",
            category="Comparisons",
            labels={"comparison": "{dataset}: {comparison}", "as": "numbers"},
        ),
        curves="results/{dataset}/comparisons/{comparison}/precision_recall.tsv",
        overlap="results/{dataset}/comparisons/{comparison}/overlap.tsv",
        consensus="results/{dataset}/comparisons/{comparison}/consensus.star",
    log:
        "logs/{dataset}/comparisons/{comparison}.log",
    conda:
        "../envs/crisp.yaml"
    resources:
        mem_mb=4000,
        runtime="1h",
    params:
        comparison=lookup("comparisons/{comparison}", within=config),
        facts=ask_value(pickers.entry_facts),
        jobs=ask_value(pickers.entry_jobs),
        pixel_size=lookup("datasets/{dataset}/pixel_size", within=config),
        diameter_px=ask_value(datasets.particle_diameter_px),
        seed=config["seed"],
        code=core_digest("compare_picks"),
    script:
        "../workflow_scripts/compare_picks.py"


rule plot_comparison:
    input:
        table="results/{dataset}/comparisons/{comparison}/table.tsv",
        curves="results/{dataset}/comparisons/{comparison}/precision_recall.tsv",
        overlap="results/{dataset}/comparisons/{comparison}/overlap.tsv",
    output:
        curves=report(
            "results/{dataset}/comparisons/{comparison}/pr.png",
            caption="report/comparison.rst",
            category="Comparisons",
            labels={
                "comparison": "{dataset}: {comparison}",
                "as": "precision and recall",
            },
        ),
        overlap=report(
            "results/{dataset}/comparisons/{comparison}/overlap.png",
            caption="report/overlap.rst",
            category="Comparisons",
            labels={"comparison": "{dataset}: {comparison}", "as": "overlap"},
        ),
    log:
        "logs/{dataset}/comparisons/{comparison}-plot.log",
    localrule: True
    conda:
        "../envs/crisp.yaml"
    params:
        code=core_digest("plot_comparison"),
    script:
        "../workflow_scripts/plot_comparison.py"
