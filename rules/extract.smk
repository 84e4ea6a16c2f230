use rule run_job as extract with:
    input:
        micrographs=ask(micrographs.batch_files),
        simulation=ask(datasets.simulation_batch),
        images="results/{dataset}/images/{batch}.h5",
        ctf=ask(ctf_files.imported_ctf),
        picks="results/{dataset}/{experiment}/picks/{batch}.star",
        sizes=ask(experiments.suggested_box),
        excluded=ask(curation.excluded),
    output:
        stack="results/{dataset}/{experiment}/particles/{batch}.mrcs",
        particles="results/{dataset}/{experiment}/particles/{batch}.star",
        dropped="results/{dataset}/{experiment}/particles/{batch}-dropped.tsv",
    pathvars:
        job="extract/{batch}",
    params:
        **run_script("extract"),
        micrographs=ask_value(micrographs.batch_paths),
        star_paths=ask_value(micrographs.star_paths),
        dataset=ask_value(datasets.dataset_optics),
        particles=ask_value(experiments.particle_settings),


use rule local_run_job as join_particles with:
    input:
        particles=ask(batches.all_batches, "results/{dataset}/{experiment}/particles/{batch}.star"),
        stacks=ask(batches.all_batches, "results/{dataset}/{experiment}/particles/{batch}.mrcs"),
    output:
        particles="results/{dataset}/{experiment}/particles.star",
    pathvars:
        job="join_particles",
    localrule: True
    params:
        **run_script("join_particles"),
        rank=setting("experiments/{experiment}/removal/rank"),


use rule local_run_job as count_dropped with:
    input:
        picking=ask(batches.all_batches, "results/{dataset}/{experiment}/dropped/{batch}.tsv"),
        extraction=ask(experiments.extracted, "results/{dataset}/{experiment}/particles/{batch}-dropped.tsv"),
        picks=ask(batches.all_batches, "results/{dataset}/{experiment}/picks/{batch}.star"),
        particles=ask(experiments.extracted, "results/{dataset}/{experiment}/particles/{batch}.star"),
    output:
        counts=shown("results/{dataset}/{experiment}/dropped.tsv", "dropped", "Data", table="dropped picks"),
        picks="results/{dataset}/{experiment}/dropped.star",
    pathvars:
        job="count_dropped",
    localrule: True
    params:
        **run_script("count_dropped"),


use rule local_run_job as cryosparc_picks with:
    input:
        exposures=ask(datasets.optional_file, "exposures"),
        micrographs="results/{dataset}/micrographs.tsv",
        picks=ask(batches.all_batches, "results/{dataset}/{experiment}/picks/{batch}.star"),
        excluded=ask(curation.all_excluded),
    output:
        picks="results/{dataset}/{experiment}/cryosparc/picks.cs",
        group="results/{dataset}/{experiment}/cryosparc/picks.csg",
        names="results/{dataset}/{experiment}/cryosparc/names.tsv",
    pathvars:
        job="cryosparc_picks",
    localrule: True
    params:
        **run_script("cryosparc_picks"),
        exposures=ask_states(datasets.optional_file, "exposures"),
