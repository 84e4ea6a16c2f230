"""Sets of particles whose resolution is measured."""

from pathlib import Path

from crisp_core.datasets.settings import SplitSettings
from crisp_core.errors import UserError
from crisp_core.evaluation.settings import ResolutionSettings
from crisp_core.paths import check_patterns, matching_files
from crisp_core.plan.plan import Plan
from crisp_core.settings.questions import is_empty, split_run


def resolution_settings(plan: Plan, experiment: str) -> ResolutionSettings:
    """Section resolution of an experiment."""
    return plan.experiment(experiment).resolution


def false_sets(plan: Plan, *, dataset: str, experiment: str) -> dict[str, float]:
    """Sets of a simulation with a share of false picks, as {set: share}.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, experiment : str
        Names of the dataset and of the experiment in the config.
    """
    if dataset not in plan.simulated:
        return {}
    return {f"false-{100 * share:g}": share for share in resolution_settings(plan, experiment).false_shares}


def other_picks(plan: Plan, *, dataset: str, experiment: str) -> dict[str, list[str]]:
    """Other pickers' coordinate files of a simulation, as {set: files}.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, experiment : str
        Names of the dataset and of the experiment in the config.
    """
    if dataset not in plan.simulated:
        return {}
    picks = resolution_settings(plan, experiment).picks
    return {name: matching_files(patterns) for name, patterns in picks.items()}


def other_pick_files(plan: Plan, *, dataset: str, experiment: str) -> list[str]:
    """Other pickers' coordinate files of a simulation, of all sets.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, experiment : str
        Names of the dataset and of the experiment in the config.
    """
    return [path for files in other_picks(plan, dataset=dataset, experiment=experiment).values() for path in files]


def refined_sets(plan: Plan, *, dataset: str, experiment: str) -> dict[str, str]:
    """Refinements of real micrographs, as {set: file}.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, experiment : str
        Names of the dataset and of the experiment in the config.
    """
    return {} if dataset in plan.simulated else resolution_settings(plan, experiment).refined


def refined_files(plan: Plan, *, dataset: str, experiment: str) -> list[str]:
    """Files of the refinements of real micrographs.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, experiment : str
        Names of the dataset and of the experiment in the config.
    """
    return list(refined_sets(plan, dataset=dataset, experiment=experiment).values())


def resolution_sets(plan: Plan, *, dataset: str, experiment: str) -> list[str]:
    """Sets of particles whose resolution is compared; the first one makes the mask.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, experiment : str
        Names of the dataset and of the experiment in the config.
    """
    run = {"dataset": dataset, "experiment": experiment}
    if dataset not in plan.simulated:
        return list(refined_sets(plan, **run))
    return ["truth", "picks", *other_picks(plan, **run), *false_sets(plan, **run)]


def resolution_batch(plan: Plan, *, dataset: str, experiment: str, batch: str) -> dict[str, str]:
    """On simulated micrographs, the truth, the picks and the split.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, experiment, batch : str
        Names of the dataset and of the experiment in the config, and number of the batch.
    """
    if dataset not in plan.simulated:
        return {}
    return {
        "truth": f"results/{dataset}/simulation/{batch}.star",
        "picks": f"results/{dataset}/{experiment}/picks/{batch}.star",
        "split": f"results/{dataset}/split.tsv",
    }


def resolution_maps(plan: Plan, *, dataset: str, experiment: str) -> list[str]:
    """Half maps of all sets and seeds, the two of a set and seed one after the other.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, experiment : str
        Names of the dataset and of the experiment in the config.
    """
    folder = f"results/{dataset}/{experiment}/resolution/maps"
    return [
        f"{folder}/{name}-{seed}-half{half}.mrc"
        for name in resolution_sets(plan, dataset=dataset, experiment=experiment)
        for seed in resolution_settings(plan, experiment).seeds
        for half in (1, 2)
    ]


def resolution_mask(plan: Plan, *, experiment: str) -> list[str]:
    """The user's mask, where there is one."""
    mask = resolution_settings(plan, experiment).mask
    return [] if mask is None else [mask]


def runs_with_resolution(plan: Plan) -> list[str]:
    """Runs whose particles have known angles.

    Raises
    ------
    UserError
        If there is none, or its section resolution cannot be carried out.
    """
    known = [
        run
        for run in plan.runs
        if split_run(run)[0] in plan.simulated or resolution_settings(plan, split_run(run)[1]).refined
    ]
    if not known:
        raise UserError(
            f"config, experiments/{split_run(plan.runs[0])[1]}/resolution/refined: on real micrographs a resolution "
            "needs refined particles; name the star or .cs file of a refinement, such as {mine: run_data.star}"
        )
    for run in known:
        dataset, experiment = split_run(run)
        place = f"config, experiments/{experiment}/resolution"
        check_resolution(place, plan.dataset(dataset).split, resolution_settings(plan, experiment))
    return known


def check_resolution(place: str, split: SplitSettings, settings: ResolutionSettings) -> None:
    """Refuse a section resolution that names an empty part of a simulation, or files that are not there.

    Parameters
    ----------
    place : str
        Key of the config that the error messages name.
    split : SplitSettings
        Split of the dataset into parts.
    settings : ResolutionSettings
        Section resolution to check.
    """
    if is_empty(split, settings.part):
        raise UserError(
            f"{place}/part: the dataset's split leaves no micrograph for {settings.part}; name another part"
        )
    named: dict[str, str | None] = {f"refined/{key}": path for key, path in settings.refined.items()}
    for key, patterns in settings.picks.items():
        check_patterns(f"{place}/picks/{key}", patterns, must_exist=True)
    for key, path in (named | {"mask": settings.mask}).items():
        if path is not None and not Path(path).exists():
            raise UserError(f"{place}/{key}: {path} does not exist; correct the path")
