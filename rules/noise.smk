use rule run_job as sample_noise with:
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
    pathvars:
        job="sample_noise/{batch}",
    params:
        **run_script("sample_noise"),
        micrographs=ask_value(micrographs.batch_paths),
        dataset=ask_value(datasets.dataset_sizes),
        noise=setting("experiments/{experiment}/noise"),
        seed=config["seed"],


use rule local_run_job as pool_noise with:
    input:
        patches=ask(batches.all_batches, "results/{dataset}/{experiment}/noise/patches/{batch}.tsv"),
        spectra=ask(batches.all_batches, "results/{dataset}/{experiment}/noise/spectra/{batch}.tsv"),
        micrographs=ask(batches.all_batches, "results/{dataset}/{experiment}/noise/micrographs/{batch}.tsv"),
    output:
        patches="results/{dataset}/{experiment}/noise/patches.tsv",
        spectra="results/{dataset}/{experiment}/noise/spectra.tsv",
        micrographs=shown("results/{dataset}/{experiment}/noise/micrographs.tsv", "noise", "Noise", form="numbers"),
    pathvars:
        job="pool_noise",
    localrule: True
    params:
        **run_script("pool_noise"),


use rule local_run_job as plot_noise with:
    input:
        spectra="results/{dataset}/{experiment}/noise/spectra.tsv",
    output:
        shown("results/{dataset}/{experiment}/noise/spectra.png", "noise", "Noise", form="spectra"),
    pathvars:
        job="plot_noise",
    localrule: True
    params:
        **run_script("plot_noise"),
