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
        file=ask_states(datasets.volume_file),
        simulation=ask_value(datasets.volume_settings),
        dataset=ask_value(datasets.dataset_sizes),
        seed=config["seed"],


use rule dataset_job as simulate with:
    input:
        density="results/{dataset}/density.mrc",
    output:
        images="results/{dataset}/simulation/{batch}.h5",
        coordinates="results/{dataset}/simulation/{batch}.star",
        drawn="results/{dataset}/simulation/{batch}-drawn.tsv",
    pathvars:
        job="simulate/{batch}",
    wildcard_constraints:
        dataset=one_of(zoo.single_volumes(PLAN)),
    threads: 2
    params:
        **run_script("simulate"),
        dataset=ask_value(datasets.dataset_optics),
        simulation=ask_value(datasets.simulation_settings),
        micrographs=ask_value(micrographs.batch_paths),
        folder=below_prefix("results/{dataset}/micrographs"),
        seed=ask_value(datasets.simulation_seed),


use rule dataset_job as library with:
    input:
        volumes=ask(zoo.library_files),
    output:
        library="results/{dataset}/simulation/library.h5",
    pathvars:
        job="library",
    params:
        **run_script("library"),
        files=ask_states(zoo.library_files),
        library=ask_value(zoo.library_settings),


use rule dataset_job as simulate_zoo with:
    input:
        library="results/{dataset}/simulation/library.h5",
    output:
        images="results/{dataset}/simulation/{batch}.h5",
        coordinates="results/{dataset}/simulation/{batch}.star",
        drawn="results/{dataset}/simulation/{batch}-drawn.tsv",
    pathvars:
        job="simulate/{batch}",
    wildcard_constraints:
        dataset=one_of(zoo.zoos(PLAN)),
    params:
        **run_script("simulate_zoo"),
        dataset=ask_value(datasets.dataset_optics),
        simulation=ask_value(zoo.zoo_settings),
        micrographs=ask_value(micrographs.batch_paths),
        folder=below_prefix("results/{dataset}/micrographs"),
        seed=ask_value(datasets.simulation_seed),
