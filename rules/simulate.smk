use rule dataset_job as density with:
    input:
        volume=ask(datasets.volume_file),
    output:
        density="results/{dataset}/density.mrc",
    pathvars:
        job="density",
    threads: 2
    resources:
        mem_mb=8000,
        runtime="2h",
    params:
        **run_script("density"),
        simulation=ask_value(datasets.volume_settings),
        dataset=ask_value(datasets.dataset_sizes),
        seed=config["seed"],


use rule dataset_job as simulate with:
    input:
        density="results/{dataset}/density.mrc",
    output:
        images="results/{dataset}/simulation/{batch}.h5",
        coordinates="results/{dataset}/simulation/{batch}.star",
    pathvars:
        job="simulate/{batch}",
    threads: 2
    params:
        **run_script("simulate"),
        dataset=ask_value(datasets.dataset_optics),
        simulation=ask_value(datasets.simulation_settings),
        micrographs=ask_value(micrographs.batch_paths),
        folder=below_prefix("results/{dataset}/micrographs"),
        seed=config["seed"],
