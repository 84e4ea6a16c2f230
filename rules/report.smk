rule report:
    input:
        RESULTS,
    output:
        "report.html",
    log:
        "logs/report.log",
    localrule: True
    conda:
        "../envs/crisp.yaml"
    params:
        # no micrographs but those of this run, whatever arrives meanwhile
        config=given_config | {"watch": 1e9},
        targets=RESULTS,
    script:
        "../workflow_scripts/report.py"


rule report_data:
    input:
        unpack(report_input),
        micrographs="results/{dataset}/micrographs.tsv",
        quarantine="results/{dataset}/quarantine.tsv",
        notices="results/{dataset}/notices.tsv",
        images=all_batches("results/{dataset}/images/{batch}.h5"),
        candidates=all_batches("results/{dataset}/{experiment}/candidates/{batch}.star"),
        dropped="results/{dataset}/{experiment}/dropped.tsv",
        particles="results/{dataset}/{experiment}/particles.star",
        stacks=all_batches("results/{dataset}/{experiment}/particles/{batch}.mrcs"),
        plots=report_plots,
        names=picked_names,
    output:
        "results/{dataset}/{experiment}/report.json",
    log:
        "logs/{dataset}/{experiment}/report_data.log",
    conda:
        "../envs/crisp.yaml"
    resources:
        mem_mb=2000,
        runtime="1h",
    params:
        pixel_size=lookup("datasets/{dataset}/pixel_size", within=config),
        diameter_angstrom=lookup(
            "datasets/{dataset}/particle_diameter_angstrom", within=config
        ),
        threshold=given_threshold,
        n_previews=N_PREVIEWS,
        code=core_digest("report_data"),
    script:
        "../workflow_scripts/report_data.py"


rule report_page:
    input:
        data=collect("results/{run}/report.json", run=RUNS),
    output:
        "results/report.html",
    log:
        "logs/report_page.log",
    localrule: True
    conda:
        "../envs/crisp.yaml"
    params:
        runs=report_runs,
        configfiles=[str(path) for path in workflow.overwrite_configfiles],
        overrides=dict(workflow.config_settings.config),
        extra=extra_results,
        template=page_digest,
        code=core_digest("report_page"),
    script:
        "../workflow_scripts/report_page.py"
