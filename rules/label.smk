# All rules for labels have the same two outputs: Snakemake notices another rule for a file only if it has made all
# outputs of that rule before.
use rule dataset_job as label_simulated with:
    input:
        simulation="results/{dataset}/simulation/{batch}.h5",
        images="results/{dataset}/images/{batch}.h5",
    output:
        labels="results/{dataset}/labels/{batch}.h5",
        quarantine="results/{dataset}/labels/{batch}.tsv",
    pathvars:
        job="label/{batch}",
    wildcard_constraints:
        dataset=one_of(PLAN.labels_come_from("truth")),
    threads: 2
    params:
        **run_script("label_simulated"),
        micrographs=ask_value(micrographs.batch_paths),
        threshold=setting("datasets/{dataset}/simulation/threshold"),
        dataset=ask_value(datasets.dataset_sizes),


use rule dataset_job as label_disc with:
    input:
        coordinates=ask(batches.batch_addition, "results/{dataset}/coordinates/{addition}.star"),
        names=ask(batches.batch_addition, "results/{dataset}/coordinates/{addition}-names.tsv"),
        images="results/{dataset}/images/{batch}.h5",
    output:
        labels="results/{dataset}/labels/{batch}.h5",
        counts="results/{dataset}/labels/{batch}.tsv",
    pathvars:
        job="label/{batch}",
    wildcard_constraints:
        dataset=one_of(PLAN.labels_come_from("disc")),
    params:
        **run_script("label_disc"),
        radius_angstrom=ask_value(datasets.disc_radius_angstrom),
        instances=setting("datasets/{dataset}/labels/instances"),


use rule dataset_job as label_corrected with:
    input:
        images="results/{dataset}/images/{batch}.h5",
    output:
        labels="results/{dataset}/labels/{batch}.h5",
        counts="results/{dataset}/labels/{batch}.tsv",
    pathvars:
        job="label/{batch}",
    wildcard_constraints:
        dataset=one_of(PLAN.with_corrections),
    params:
        **run_script("label_corrected"),
        digests=ask_value(corrections.batch_corrections),
        trusted=ask_value(corrections.batch_trust),
        weight=ask_value(corrections.changed_weight),
        disc_radius_angstrom=ask_value(datasets.disc_radius_angstrom),
        dataset=ask_value(datasets.dataset_sizes),


use rule dataset_job as label_clicks with:
    input:
        coordinates=ask(batches.batch_addition, "results/{dataset}/coordinates/{addition}.star"),
        names=ask(batches.batch_addition, "results/{dataset}/coordinates/{addition}-names.tsv"),
        images="results/{dataset}/images/{batch}.h5",
    output:
        labels="results/{dataset}/labels/{batch}.h5",
        table="results/{dataset}/labels/{batch}.tsv",
    pathvars:
        job="label/{batch}",
    wildcard_constraints:
        dataset=one_of(PLAN.labels_come_from("clicks")),
    params:
        **run_script("label_clicks"),
        clicks=setting("datasets/{dataset}/labels/clicks"),
        disc_radius_angstrom=ask_value(datasets.disc_radius_angstrom),
        instances=setting("datasets/{dataset}/labels/instances"),
        dataset=ask_value(datasets.dataset_sizes),


use rule dataset_job as label_outline with:
    input:
        coordinates=ask(batches.batch_addition, "results/{dataset}/coordinates/{addition}.star"),
        names=ask(batches.labelled_names),
        images="results/{dataset}/images/{batch}.h5",
        poses=ask(datasets.outline_poses),
        map=ask(datasets.outline_map),
        mask=ask(datasets.optional_file, "labels", "mask"),
    output:
        labels="results/{dataset}/labels/{batch}.h5",
        unmatched="results/{dataset}/labels/{batch}.tsv",
    pathvars:
        job="label/{batch}",
    wildcard_constraints:
        dataset=one_of(PLAN.labels_come_from("poses", "relion", "aspire", "matching")),
    threads: 2
    params:
        **run_script("label_outline"),
        poses=ask_states(datasets.outline_poses),
        map=ask_states(datasets.outline_map),
        mask=ask_states(datasets.optional_file, "labels", "mask"),
        labels=ask_value(datasets.outline_settings),
        poses_frame=ask_value(datasets.poses_frame),
        working_pixel_size=setting("datasets/{dataset}/preparation/working_pixel_size"),
        dataset=ask_value(datasets.dataset_sizes),


use rule dataset_job as label_maps with:
    input:
        labels=ask(batches.all_batches, "results/{dataset}/labels/{batch}.h5"),
        images=ask(batches.all_batches, "results/{dataset}/images/{batch}.h5"),
    output:
        directory("results/{dataset}/label_maps"),
    pathvars:
        job="label_maps",
    params:
        **run_script("label_maps"),
