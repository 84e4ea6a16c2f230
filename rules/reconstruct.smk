use rule dataset_job as extract_for_reconstruction with:
    input:
        micrographs=ask(micrographs.batch_files),
        simulation=ask(datasets.simulation_batch),
        images="results/{dataset}/images/{batch}.h5",
        truth=ask(datasets.simulation_truth),
        ctf=ask(ctf_files.imported_ctf),
        coordinates=ask(batches.batch_addition, "results/{dataset}/coordinates/{addition}.star"),
    output:
        stack="results/{dataset}/reconstruction/stacks/{batch}.mrcs",
        particles="results/{dataset}/reconstruction/stacks/{batch}.star",
        dropped="results/{dataset}/reconstruction/stacks/{batch}-dropped.tsv",
    pathvars:
        job="extract_for_reconstruction/{batch}",
    params:
        **run_script("extract_for_reconstruction"),
        micrographs=ask_value(micrographs.batch_paths),
        star_paths=ask_value(micrographs.star_paths),
        dataset=ask_value(datasets.dataset_optics),
        stack_pixel_size=setting("datasets/{dataset}/labels/reconstruction/pixel_size"),


use rule dataset_job as reconstruct with:
    input:
        particles=ask(batches.addition_batches, "results/{dataset}/reconstruction/stacks/{batch}.star"),
        stacks=ask(batches.addition_batches, "results/{dataset}/reconstruction/stacks/{batch}.mrcs"),
        map=ask(datasets.initial_map),
    output:
        poses="results/{dataset}/reconstruction/poses.star",
        map="results/{dataset}/reconstruction/map.mrc",
    pathvars:
        job="reconstruct",
    wildcard_constraints:
        dataset=one_of(PLAN.labels_come_from("relion", "aspire", "matching")),
    threads: 2
    resources:
        mem_mb=8000,
        runtime="1d",
    params:
        **run_script("reconstruct"),
        map=ask_states(datasets.initial_map),
        source=setting("datasets/{dataset}/labels/source"),
        reconstruction=setting("datasets/{dataset}/labels/reconstruction"),
        dataset=ask_value(datasets.dataset_sizes),
        seed=config["seed"],
