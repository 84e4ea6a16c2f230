rule tabulate:
    input:
        pixels=ask(networks.table_files, "metrics/pixels.tsv"),
        picks=ask(networks.table_files, "metrics/picks.tsv"),
        maps=ask(networks.table_files, "metrics/maps.tsv"),
        networks=ask(networks.table_networks),
        checkpoints=ask(networks.table_checkpoints),
    output:
        table=report(
            "results/{dataset}/tables/{table}.tsv",
            caption="report/table.rst",
            category="Tables",
            labels={"table": "{dataset}: {table}", "as": "numbers"},
        ),
    log:
        "logs/{dataset}/tables/{table}.log",
    conda:
        "../envs/crisp.yaml"
    resources:
        mem_mb=4000,
        runtime="1h",
    params:
        runs=ask_value(networks.table_runs),
        code=core_digest("tabulate"),
    script:
        "../workflow_scripts/tabulate.py"


rule plot_histograms:
    input:
        maps=ask(networks.table_files, "metrics/maps.tsv"),
    output:
        report(
            "results/{dataset}/tables/{table}/histograms.png",
            caption="report/histograms.rst",
            category="Tables",
            labels={"table": "{dataset}: {table}", "as": "histograms"},
        ),
    log:
        "logs/{dataset}/tables/{table}-histograms.log",
    localrule: True
    conda:
        "../envs/crisp.yaml"
    params:
        runs=ask_value(networks.table_runs),
        code=core_digest("plot_histograms"),
    script:
        "../workflow_scripts/plot_histograms.py"


rule plot_table:
    input:
        table="results/{dataset}/tables/{table}.tsv",
    output:
        report(
            "results/{dataset}/tables/{table}.png",
            caption="report/table.rst",
            category="Tables",
            labels={"table": "{dataset}: {table}", "as": "plot"},
        ),
    log:
        "logs/{dataset}/tables/{table}-plot.log",
    localrule: True
    conda:
        "../envs/crisp.yaml"
    params:
        code=core_digest("plot_table"),
    script:
        "../workflow_scripts/plot_table.py"
