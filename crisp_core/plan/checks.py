"""Checks before any job: missing files, full disks, nothing to train on."""

import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from crisp_core.errors import UserError
from crisp_core.formats.stems import micrograph_stem
from crisp_core.paths import check_patterns, matching_files
from crisp_core.pickers.files import Files
from crisp_core.plan.additions import is_closed, places_file
from crisp_core.plan.batches import batches_to_train
from crisp_core.plan.corrections import check_corrections, has_scores
from crisp_core.plan.ctf_files import ctf_of
from crisp_core.plan.curation import check_exclusions
from crisp_core.plan.datasets import volume_path
from crisp_core.plan.leaks import check_draws
from crisp_core.plan.micrographs import check_path, left_out_paths, micrograph_names, unknown_micrograph
from crisp_core.plan.networks import is_searched, stated_digest, trained_checkpoint, trained_run
from crisp_core.plan.plan import Plan
from crisp_core.plan.shipped import check_shipped_networks
from crisp_core.plan.zoo import check_zoo, zoos
from crisp_core.segmentation.checkpoints import NetworkInput, read_facts
from crisp_core.segmentation.shipped import sha256
from crisp_core.settings.class_checks import check_distances, predicted_classes
from crisp_core.settings.questions import named_runs, run_folder, split_run
from crisp_core.settings.sizes import dataset_difference, dataset_input, named_input


def check_plan(plan: Plan) -> None:
    """Refuse at once, and not after a training, a plan that cannot be carried out.

    Raises
    ------
    UserError
        Naming the key or file, and the cure.
    """
    check_output_folders()
    check_shipped_networks(plan)
    uses = sorted(uses_of_experiments(plan))
    for dataset, name in uses:
        check_circle(plan, dataset, name)
    for dataset in plan.datasets:
        check_dataset_files(plan, dataset)
        check_split_names(plan, dataset)
    for name in sorted({split_run(row)[1] for row in table_rows(plan)} | {name for _, name in uses}):
        check_experiment_files(plan, name)
    for dataset, name in uses:
        check_reused_network(plan, dataset, name)
        check_draws(plan, dataset, name)
        check_trust(plan, dataset, name)
        check_exclusions(plan, dataset, name)
    for dataset in plan.datasets:
        check_dataset_tables(plan, dataset)


def check_output_folders() -> None:
    """Refuse to write where that is impossible: Snakemake itself would end with a traceback."""
    for folder in [path for path in (Path("."), Path("results")) if os.path.lexists(path)]:
        if not folder.is_dir():
            raise UserError(
                f"{folder.absolute()}: is not a folder, or a link to one that is missing; mount its disk, or remove it"
            )
        if not os.access(folder, os.W_OK):
            raise UserError(
                f"{folder.absolute()}: cannot be written; make it writable, or work in another folder (--directory)"
            )
        if shutil.disk_usage(folder).free < 2**20:
            raise UserError(
                f"{folder.absolute()}: no space left on the disk; free some, and run again, which continues from here"
            )


def check_dataset_files(plan: Plan, dataset: str) -> None:
    """Refuse a dataset that names a file which is not there; micrographs are quarantined one by one instead."""
    settings, place = plan.dataset(dataset), f"config, datasets/{dataset}"
    named: dict[str, str | None] = {
        "ctf": settings.ctf,
        "exposures": settings.exposures,
        "simulation/volume": volume_path(plan, dataset),
        "labels/poses": settings.labels.poses,
        "labels/map": settings.labels.map,
        "labels/mask": settings.labels.mask,
    }
    arriving = plan.settings.watch is not None
    if settings.micrographs is not None:
        check_patterns(f"{place}/micrographs", settings.micrographs, must_exist=False, may_arrive=arriving)
        check_listed_micrographs(plan, dataset)
    if settings.coordinates is not None:
        key, patterns = f"{place}/coordinates/files", settings.coordinates.files
        check_patterns(key, patterns, must_exist=False, may_arrive=arriving)
        files = matching_files(patterns)
        if not files:
            raise UserError(f"{key}: no file matches {patterns}; correct the path or glob")
        for file in files:
            check_path(key, file)
        named["coordinates/files"] = next((path for path in files if not os.access(path, os.R_OK)), None)
    if settings.corrections is not None:
        check_patterns(f"{place}/corrections", settings.corrections.files, must_exist=True)
        check_corrections(plan, dataset)
    if dataset in zoos(plan):
        check_zoo(plan, dataset)
    check_prefixed(plan, place, [*named.values(), *matching_files(settings.micrographs or [])])
    for key, path in named.items():
        if path is not None:
            check_readable_file(f"{place}/{key}", path)


def check_readable_file(place: str, path: str) -> None:
    """Refuse a file, named by a key of the config, that is not there, or that cannot be read."""
    check_path(place, path)
    if not os.access(path, os.R_OK):
        exists = "cannot be read; change its permissions" if Path(path).exists() else None
        raise UserError(f"{place}: {path} {exists or 'does not exist; correct the path'}")


def check_listed_micrographs(plan: Plan, dataset: str) -> None:
    """Refuse a listed micrograph without a file where another workflow imports this one, whose rules may make it."""
    settings = plan.dataset(dataset)
    if not plan.prefix or settings.micrographs_from_rules or plan.settings.watch is not None:
        return
    missing = next((path for path in matching_files(settings.micrographs or []) if not os.path.lexists(path)), None)
    if missing is not None:
        raise UserError(
            f"config, datasets/{dataset}/micrographs: {missing} does not exist; if a rule makes it, set "
            "micrographs_from_rules: true, otherwise correct the path"
        )


def check_prefixed(plan: Plan, place: str, paths: Iterable[str | None]) -> None:
    """Refuse a user's file with the name of a result, which would be looked for below the prefix of a module.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    place : str
        Key of the config that the error message names.
    paths : iterable of (str or None)
        Paths of the user's files; None is skipped.
    """
    taken = next((path for path in paths if plan.prefix and path is not None and plan.makes(path)), None)
    if taken is not None:
        raise UserError(
            f"{place}: {taken} is in a folder with the name of a dataset; rename the dataset, or its folder"
        )


def table_rows(plan: Plan) -> list[str]:
    """Rows of all tables: experiments, some with their dataset."""
    return [row for table in plan.settings.tables.values() for row in table.rows]


def uses_of_experiments(plan: Plan) -> set[tuple[str, str]]:
    """Datasets and experiments of the runs, of the comparisons, and of the rows of tables that name a dataset."""
    uses = {split_run(run) for run in named_runs(plan.settings)}
    for comparison in plan.settings.comparisons.values():
        uses |= {(comparison.dataset, entry) for entry in comparison.entries}
    return uses


def check_circle(plan: Plan, dataset: str, experiment: str) -> None:
    """Refuse an experiment whose trained network is, through others, its own, or another picker's.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, experiment : str
        Names of the dataset and of the experiment in the config.
    """
    seen, trained = [f"{dataset}/{experiment}"], plan.experiment(experiment).trained
    # only what is in this very folder; another folder's results may have the same names
    while trained is not None and plan.owns(run_folder(trained)):
        owner = "/".join(Path(run_folder(trained)).parts[-2:])
        place, name = f"config, experiments/{split_run(seen[-1])[1]}/trained", split_run(owner)[1]
        if name in plan.pickers:
            raise UserError(
                f"{place}: {trained} is another picker's and has no network; name the folder of an experiment with a "
                "network"
            )
        if owner in seen:
            raise UserError(
                f"{place}: {trained} is a circular reference, the network of this experiment depends on its own "
                "results; remove trained from the experiment that is to train"
            )
        seen.append(owner)
        trained = plan.experiment(name).trained


def check_split_names(plan: Plan, dataset: str) -> None:
    """Refuse a split that lists micrographs which are not there, or are left out; not once the parts are drawn."""
    if dataset not in plan.labelled or is_closed(dataset, plan.prefix) or plan.settings.watch is not None:
        return
    names = micrograph_names(plan, dataset)
    known = set(names)
    left_out = set(map(micrograph_stem, left_out_paths(plan, dataset=dataset)))
    for part, listed in plan.dataset(dataset).split:
        for name in listed if isinstance(listed, list) else ():
            if name in known:
                continue
            place = f"config, datasets/{dataset}/split/{part}"
            if name in left_out:
                raise UserError(f"{place}: {name} is a file that is left out; name its exact path in micrographs too")
            raise unknown_micrograph(place, name, names)


def check_experiment_files(plan: Plan, name: str) -> None:
    """Refuse an experiment whose files of picks, or whose trained network, are not there."""
    experiment, place = plan.experiment(name), f"config, experiments/{name}"
    if isinstance(experiment.picker, Files):
        check_patterns(f"{place}/picker/files", experiment.picker.files, must_exist=True)
        for path in matching_files(experiment.picker.files):
            check_readable_file(f"{place}/picker/files", path)
    trained = experiment.trained
    if trained and not plan.owns(run_folder(trained)):
        check_trained_folder(place, trained)


def check_trained_folder(place: str, trained: str) -> None:
    """Refuse the folder of an earlier run without network or centres."""
    network, centers = trained_checkpoint(Path(trained)), Path(trained) / "centers.yaml"
    missing = [path.name for path in (network, centers) if not path.exists()]
    if missing:
        raise UserError(
            f"{place}/trained: {trained} holds no {missing[0]}; name the folder results/<dataset>/<experiment> of a "
            "finished run, the one that trained the network where experiments share it"
        )
    if stated_digest(centers) not in (None, sha256(network)):
        raise UserError(
            f"{place}/trained: {network} is not the network for which {centers} was chosen; finish its training run, "
            "which chooses finder and threshold again"
        )


def check_reused_network(plan: Plan, dataset: str, experiment: str) -> None:
    """Refuse the network of an earlier run that saw micrographs of another look, or lacks a class of `removal`.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, experiment : str
        Names of the dataset and of the experiment in the config.
    """
    if experiment in plan.pickers:
        return
    run = trained_run(plan, dataset, experiment)
    if run == (dataset, experiment):
        return
    trained, classes = reused_network(plan, run)
    check_distances(experiment, plan.experiment(experiment), classes)
    if difference := dataset_difference(trained, dataset, plan.settings):
        raise UserError(f"config, run: {dataset}/{experiment}: {difference}")


def check_trust(plan: Plan, dataset: str, experiment: str) -> None:
    """Refuse to choose finder and threshold on corrected micrographs of which none is trusted.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, experiment : str
        Names of the dataset and of the experiment in the config.
    """
    if dataset not in plan.with_corrections or experiment not in plan.with_network or has_scores(plan, dataset):
        return
    centers = plan.experiment(experiment).centers
    are_given = centers.finder != "search" and centers.threshold is not None
    if is_searched(plan, dataset, experiment) and not are_given:
        raise UserError(
            f"config, datasets/{dataset}/corrections: none of the corrected micrographs is trusted, so nothing can "
            f"choose finder and threshold; give both in experiments/{experiment}/centers, or set trust to all"
        )


def reused_network(plan: Plan, run: tuple[str, str] | Path) -> tuple[NetworkInput, Sequence[str]]:
    """Input and classes of the network of another run of this plan, or of the folder of an earlier run."""
    if isinstance(run, Path):
        facts = read_facts(trained_checkpoint(run))
        return facts.input, facts.classes
    recipe = plan.experiment(run[1])
    if isinstance(recipe.network, str):
        seen = named_input(recipe.network, plan.settings)
    else:
        seen = dataset_input(plan.dataset(run[0]))
    return seen, predicted_classes(recipe, run[0], plan.settings)


def check_dataset_tables(plan: Plan, dataset: str) -> None:
    """Refuse a dataset that leaves nothing to train on, and a CTF or exposures file that cannot be used."""
    from crisp_core.formats.cryosparc_picks import match_exposures  # reads images, which few calls need

    settings = plan.dataset(dataset)
    if dataset in plan.labelled and not batches_to_train(plan, dataset):
        raise UserError(
            f"{places_file(dataset, plan.prefix)}: no micrograph is left of the first run, from which the parts are "
            f"drawn; put them back, or remove this file and {plan.prefix}results/{dataset}/split to start again "
            "with the present micrographs"
        )
    if settings.ctf is not None:
        ctf_of(plan, dataset)
    if settings.exposures is not None:
        match_exposures(settings.exposures, micrograph_names(plan, dataset))
