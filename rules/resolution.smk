use rule run_job as extract_for_resolution with:
    input:
        unpack(ask(resolution.resolution_batch)),
        micrographs=ask(micrographs.batch_files),
        simulation=ask(datasets.simulation_batch),
        others=ask(resolution.other_pick_files),
        refined=ask(resolution.refined_files),
        images="results/{dataset}/images/{batch}.h5",
        list="results/{dataset}/micrographs.tsv",
    output:
        stack="results/{dataset}/{experiment}/resolution/stacks/{batch}.mrcs",
        particles="results/{dataset}/{experiment}/resolution/stacks/{batch}.star",
    pathvars:
        job="extract_for_resolution/{batch}",
    params:
        **run_script("extract_for_resolution"),
        refined_files=ask_states(resolution.refined_files),
        other_files=ask_states(resolution.other_pick_files),
        micrographs=ask_value(micrographs.batch_paths),
        dataset=ask_value(datasets.dataset_optics),
        others=ask_value(resolution.other_picks),
        refined=ask_value(resolution.refined_sets),
        false_sets=ask_value(resolution.false_sets),
        part=setting("experiments/{experiment}/resolution/part"),
        box_angstrom=setting("experiments/{experiment}/particles/box_angstrom"),
        stack_pixel_size=setting("experiments/{experiment}/resolution/pixel_size"),
        seed=config["seed"],


use rule run_job as draw_particles with:
    input:
        particles=ask(batches.all_batches, "results/{dataset}/{experiment}/resolution/stacks/{batch}.star"),
    output:
        particles=directory("results/{dataset}/{experiment}/resolution/sets"),
    pathvars:
        job="draw_particles",
    params:
        **run_script("draw_particles"),
        sets=ask_value(resolution.resolution_sets),
        false_sets=ask_value(resolution.false_sets),
        n_particles=setting("experiments/{experiment}/resolution/n_particles"),
        seeds=setting("experiments/{experiment}/resolution/seeds"),


use rule run_job as reconstruct_picks with:
    input:
        particles="results/{dataset}/{experiment}/resolution/sets",
        stacks=ask(batches.all_batches, "results/{dataset}/{experiment}/resolution/stacks/{batch}.mrcs"),
    output:
        half1="results/{dataset}/{experiment}/resolution/maps/{set}-{seed}-half1.mrc",
        half2="results/{dataset}/{experiment}/resolution/maps/{set}-{seed}-half2.mrc",
    pathvars:
        job="reconstruct_picks/{set}-{seed}",
    wildcard_constraints:
        set=r"[A-Za-z][A-Za-z0-9_]*(-[0-9.]+)?",
        seed=r"\d+",
    resources:
        mem_mb=8000,
        runtime="4h",
    params:
        **run_script("reconstruct_picks"),
        star=below_prefix("results/{dataset}/{experiment}/resolution/sets/{set}-{seed}.star"),
        program=setting("experiments/{experiment}/resolution/program"),
        symmetry=setting("experiments/{experiment}/resolution/symmetry"),


use rule run_job as measure_resolution with:
    input:
        particles="results/{dataset}/{experiment}/resolution/sets",
        maps=ask(resolution.resolution_maps),
        mask=ask(resolution.resolution_mask),
    output:
        fsc="results/{dataset}/{experiment}/resolution/fsc.tsv",
        resolution=shown(
            "results/{dataset}/{experiment}/resolution/resolution.tsv", "resolution", "Resolution", form="numbers"
        ),
        mask="results/{dataset}/{experiment}/resolution/mask.mrc",
        half1="results/{dataset}/{experiment}/resolution/half1.mrc",
        half2="results/{dataset}/{experiment}/resolution/half2.mrc",
    pathvars:
        job="measure_resolution",
    threads: 2
    resources:
        mem_mb=8000,
        runtime="2h",
    params:
        **run_script("measure_resolution"),
        mask=ask_states(resolution.resolution_mask),
        sets=ask_value(resolution.resolution_sets),
        resolution=setting("experiments/{experiment}/resolution"),


use rule local_run_job as plot_resolution with:
    input:
        fsc="results/{dataset}/{experiment}/resolution/fsc.tsv",
        resolution="results/{dataset}/{experiment}/resolution/resolution.tsv",
    output:
        shown("results/{dataset}/{experiment}/resolution/fsc.png", "resolution", "Resolution", form="curves"),
    pathvars:
        job="plot_resolution",
    localrule: True
    params:
        **run_script("plot_resolution"),
