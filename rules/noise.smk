rule sample_noise:
    input:
        micrographs=ask(micrographs.batch_files),
        simulation=ask(datasets.simulation_batch),
        images="results/{dataset}/images/{batch}.h5",
        probability="results/{dataset}/{experiment}/probability/{batch}.h5",
    output:
        stack="results/{dataset}/{experiment}/noise/patches/{batch}.mrcs",
        patches="results/{dataset}/{experiment}/noise/patches/{batch}.tsv",
        spectra="results/{dataset}/{experiment}/noise/spectra/{batch}.tsv",
        micrographs="results/{dataset}/{experiment}/noise/micrographs/{batch}.tsv",
    log:
        "logs/{dataset}/{experiment}/sample_noise/{batch}.log",
    benchmark:
        "results/{dataset}/{experiment}/performance/sample_noise/{batch}.tsv"
    conda:
        "../envs/crisp.yaml"
    resources:
        mem_mb=4000,
        runtime="2h",
    params:
        micrographs=ask_value(micrographs.batch_paths),
        pixel_size=lookup("datasets/{dataset}/pixel_size", within=config),
        noise=lookup("experiments/{experiment}/noise", within=config),
        seed=config["seed"],
        code=core_digest("sample_noise"),
    script:
        "../workflow_scripts/sample_noise.py"


rule pool_noise:
    input:
        patches=ask(
            micrographs.all_batches,
            "results/{dataset}/{experiment}/noise/patches/{batch}.tsv",
        ),
        spectra=ask(
            micrographs.all_batches,
            "results/{dataset}/{experiment}/noise/spectra/{batch}.tsv",
        ),
        micrographs=ask(
            micrographs.all_batches,
            "results/{dataset}/{experiment}/noise/micrographs/{batch}.tsv",
        ),
    output:
        patches="results/{dataset}/{experiment}/noise/patches.tsv",
        spectra="results/{dataset}/{experiment}/noise/spectra.tsv",
        micrographs=report(
            "results/{dataset}/{experiment}/noise/micrographs.tsv",
            caption="report/noise.rst",
            category="Noise",
            labels={"experiment": "{dataset}/{experiment}", "as": "numbers"},
        ),
    log:
        "logs/{dataset}/{experiment}/pool_noise.log",
    localrule: True
    conda:
        "../envs/crisp.yaml"
    params:
        code=core_digest("pool_noise"),
    script:
        "../workflow_scripts/pool_noise.py"


rule plot_noise:
    input:
        spectra="results/{dataset}/{experiment}/noise/spectra.tsv",
    output:
        report(
            "results/{dataset}/{experiment}/noise/spectra.png",
            caption="report/noise.rst",
            category="Noise",
            labels={"experiment": "{dataset}/{experiment}", "as": "spectra"},
        ),
    log:
        "logs/{dataset}/{experiment}/plot_noise.log",
    localrule: True
    conda:
        "../envs/crisp.yaml"
    params:
        code=core_digest("plot_noise"),
    script:
        "../workflow_scripts/plot_noise.py"
