use rule dataset_job as tabulate with:
    input:
        pixels=ask(tables.table_files, "metrics/pixels.tsv"),
        picks=ask(tables.table_files, "metrics/picks.tsv"),
        maps=ask(tables.table_files, "metrics/maps.tsv"),
        checkpoints=ask(tables.table_checkpoints),
    output:
        table=shown("results/{dataset}/tables/{table}.tsv", "table", "Tables", form="numbers"),
    pathvars:
        job="tables/{table}",
    params:
        **run_script("tabulate"),
        runs=ask_value(tables.table_runs),
        jobs=ask_value(tables.table_jobs),


use rule local_dataset_job as plot_histograms with:
    input:
        maps=ask(tables.table_files, "metrics/maps.tsv"),
    output:
        shown(
            "results/{dataset}/tables/{table}/histograms.png",
            "histograms",
            "Tables",
            form="histograms",
        ),
    pathvars:
        job="tables/{table}-histograms",
    localrule: True
    params:
        **run_script("plot_histograms"),
        runs=ask_value(tables.table_runs),


use rule local_dataset_job as plot_table with:
    input:
        table="results/{dataset}/tables/{table}.tsv",
    output:
        shown("results/{dataset}/tables/{table}.png", "table", "Tables", form="plot"),
    pathvars:
        job="tables/{table}-plot",
    localrule: True
    params:
        **run_script("plot_table"),
