use rule dataset_job as prepare with:
    input:
        micrographs=ask(micrographs.batch_files),
        simulation=ask(datasets.simulation_batch),
    output:
        images="results/{dataset}/images/{batch}.h5",
        quarantine="results/{dataset}/quarantine/prepare-{batch}.tsv",
    pathvars:
        job="prepare/{batch}",
    threads: 2
    params:
        **run_script("prepare"),
        files=ask_states(micrographs.batch_files, rules_may_make=True),
        micrographs=ask_value(micrographs.batch_paths),
        dataset=ask_value(datasets.dataset_sizes),
        preparation=setting("datasets/{dataset}/preparation"),
        header_pixel_size=ask_value(micrographs.header_pixel_size),


use rule local_dataset_job as list_micrographs with:
    input:
        images=ask(batches.all_batches, "results/{dataset}/images/{batch}.h5"),
        quarantine=ask(batches.all_batches, "results/{dataset}/quarantine/prepare-{batch}.tsv"),
    output:
        "results/{dataset}/micrographs.tsv",
    pathvars:
        job="list_micrographs",
    localrule: True
    params:
        **run_script("list_micrographs"),
        micrographs=ask_value(micrographs.dataset_paths),
        star_paths=ask_value(micrographs.star_paths),


use rule dataset_job as convert_micrographs with:
    input:
        micrographs=ask(micrographs.batch_files),
        images="results/{dataset}/images/{batch}.h5",
    output:
        directory("results/{dataset}/converted/{batch}"),
    pathvars:
        job="convert_micrographs/{batch}",
    params:
        **run_script("convert_micrographs"),
        micrographs=ask_value(micrographs.batch_paths),
        dataset=ask_value(datasets.dataset_sizes),


use rule local_dataset_job as link_micrographs with:
    input:
        micrographs="results/{dataset}/micrographs.tsv",
        simulation=ask(datasets.simulation_batches),
        converted=ask(micrographs.converted_batches),
    output:
        directory("results/{dataset}/micrographs"),
    pathvars:
        job="link_micrographs",
    localrule: True
    params:
        **run_script("link_micrographs"),
        dataset=ask_value(datasets.dataset_sizes),


use rule dataset_job as import_coordinates with:
    input:
        coordinates=ask(datasets.coordinate_files),
        listed=ask(datasets.listed_coordinates),
        images=ask(batches.addition_batches, "results/{dataset}/images/{batch}.h5"),
    output:
        coordinates="results/{dataset}/coordinates/{addition}.star",
        names="results/{dataset}/coordinates/{addition}-names.tsv",
        quarantine="results/{dataset}/coordinates/{addition}-quarantine.tsv",
        notices="results/{dataset}/coordinates/{addition}-notices.tsv",
    pathvars:
        job="import_coordinates/{addition}",
    wildcard_constraints:
        dataset=one_of(PLAN.simulated + PLAN.with_coordinates),
    params:
        **run_script("import_coordinates"),
        files=ask_states(datasets.coordinate_files),
        listed=ask_states(datasets.listed_coordinates),
        coordinates=ask_value(datasets.coordinate_settings),
        dataset=ask_value(datasets.dataset_sizes),


# the files are neither inputs nor parameters: a correction reruns only what concerns its micrographs, whose digests change
use rule local_dataset_job as import_corrections with:
    input:
        images=ask(batches.addition_batches, "results/{dataset}/images/{batch}.h5"),
    output:
        coordinates="results/{dataset}/coordinates/{addition}.star",
        names="results/{dataset}/coordinates/{addition}-names.tsv",
        quarantine="results/{dataset}/coordinates/{addition}-quarantine.tsv",
        notices="results/{dataset}/coordinates/{addition}-notices.tsv",
    pathvars:
        job="import_corrections/{addition}",
    wildcard_constraints:
        dataset=one_of(PLAN.with_corrections),
    localrule: True
    params:
        **run_script("import_corrections"),
        digests=ask_value(corrections.addition_corrections),
        notices=ask_value(corrections.correction_notices),
        dataset=ask_value(datasets.dataset_sizes),


use rule local_dataset_job as import_ctf with:
    input:
        images="results/{dataset}/images/{batch}.h5",
    output:
        ctf="results/{dataset}/ctf/{batch}.star",
        quarantine="results/{dataset}/quarantine/ctf-{batch}.tsv",
    pathvars:
        job="import_ctf/{batch}",
    localrule: True
    params:
        **run_script("import_ctf"),
        ctf=ask_value(ctf_files.batch_ctf),
        refused=ask_value(ctf_files.refused_ctf),
        file=setting("datasets/{dataset}/ctf"),
        micrographs=ask_value(micrographs.batch_paths),
        star_paths=ask_value(micrographs.star_paths),
        dataset=ask_value(datasets.dataset_sizes),


use rule local_dataset_job as join_coordinates with:
    input:
        coordinates=ask(batches.all_additions, "results/{dataset}/coordinates/{addition}.star"),
        names=ask(batches.all_additions, "results/{dataset}/coordinates/{addition}-names.tsv"),
        quarantine=ask(batches.all_additions, "results/{dataset}/coordinates/{addition}-quarantine.tsv"),
        strangers=ask(datasets.stranger_files),
    output:
        coordinates="results/{dataset}/coordinates.star",
        names="results/{dataset}/coordinate_names.tsv",
        quarantine="results/{dataset}/quarantine/coordinates.tsv",
    pathvars:
        job="join_coordinates",
    localrule: True
    params:
        **run_script("join_coordinates"),
        coordinates=ask_value(datasets.coordinate_settings),
        micrographs=ask_value(micrographs.micrograph_names),


use rule local_dataset_job as draw_split with:
    input:
        names=ask(batches.trained_additions, "results/{dataset}/coordinates/{addition}-names.tsv"),
        prepare=ask(batches.drawn_batches, "results/{dataset}/quarantine/prepare-{batch}.tsv"),
        coordinates=ask(batches.trained_additions, "results/{dataset}/coordinates/{addition}-quarantine.tsv"),
    output:
        split="results/{dataset}/split/drawn.tsv",
    pathvars:
        job="draw_split",
    wildcard_constraints:
        dataset=one_of(PLAN.simulated + PLAN.with_coordinates),
    localrule: True
    params:
        **run_script("draw_split"),
        micrographs=ask_value(batches.drawn_micrographs),
        split=ask_value(batches.drawn_parts),
        seed=config["seed"],


use rule local_dataset_job as draw_corrected with:
    input:
        names=ask(batches.trained_additions, "results/{dataset}/coordinates/{addition}-names.tsv"),
    output:
        split="results/{dataset}/split/drawn.tsv",
    pathvars:
        job="draw_corrected",
    wildcard_constraints:
        dataset=one_of(PLAN.with_corrections),
    localrule: True
    params:
        **run_script("draw_corrected"),
        trusted=ask_value(corrections.trusted_micrographs),
        split=ask_value(batches.drawn_parts),
        seed=config["seed"],


use rule local_dataset_job as split with:
    input:
        drawn="results/{dataset}/split/drawn.tsv",
        names="results/{dataset}/coordinate_names.tsv",
        prepare=ask(batches.all_batches, "results/{dataset}/quarantine/prepare-{batch}.tsv"),
        coordinates=ask(batches.all_additions, "results/{dataset}/coordinates/{addition}-quarantine.tsv"),
    output:
        split="results/{dataset}/split.tsv",
    pathvars:
        job="split",
    localrule: True
    params:
        **run_script("split"),
        micrographs=ask_value(micrographs.dataset_paths),
        drawn_from=ask_value(batches.drawn_micrographs),
        split=setting("datasets/{dataset}/split"),
        unscored=ask_value(corrections.unscored_micrographs),


use rule local_dataset_job as quarantine with:
    input:
        micrographs="results/{dataset}/micrographs.tsv",
        coordinate_notices=ask(datasets.coordinate_notices),
        prepare=ask(batches.all_batches, "results/{dataset}/quarantine/prepare-{batch}.tsv"),
        coordinates=ask(datasets.coordinate_quarantine),
        ctf=ask(ctf_files.ctf_quarantine),
        labels=ask(datasets.label_quarantine),
    output:
        quarantine=shown("results/{dataset}/quarantine.tsv", "quarantine", "Data", table="quarantine"),
        left_out=shown("results/{dataset}/left_out.tsv", "left_out", "Data", table="left out"),
        notices="results/{dataset}/notices.tsv",
    pathvars:
        job="quarantine",
    localrule: True
    params:
        **run_script("quarantine"),
        left_out=ask_value(micrographs.left_out_paths),
        dataset=ask_value(datasets.dataset_sizes),
        ctf_notices=ask_value(ctf_files.ctf_notices),


use rule local_run_job as quarantine_run with:
    input:
        refused=ask(pickers.run_quarantine),
    output:
        shown("results/{dataset}/{experiment}/quarantine.tsv", "quarantine", "Data", table="quarantine"),
    pathvars:
        job="quarantine_run",
    wildcard_constraints:
        experiment=one_of(set(config["experiments"]) - set(pickers.from_files(PLAN))),
    localrule: True
    params:
        **run_script("quarantine_run"),


use rule local_run_job as strict with:
    input:
        page="results/{dataset}/{experiment}/report.html",
        quarantine=["results/{dataset}/quarantine.tsv", "results/{dataset}/{experiment}/quarantine.tsv"],
    output:
        "results/{dataset}/{experiment}/strict.txt",
    pathvars:
        job="strict",
    localrule: True
    params:
        **run_script("strict"),
