"""Inputs and parameters of the curation of micrographs, and the micrographs that it excludes."""

from functools import cache

from crisp_core.errors import UserError
from crisp_core.formats.coordinates.names import match_names
from crisp_core.formats.relion_ctf import read_ctf_quality
from crisp_core.plan.batches import all_batches
from crisp_core.plan.micrographs import micrograph_names, unknown_micrograph
from crisp_core.plan.plan import Plan
from crisp_core.settings.questions import split_run


def ctf_quality(plan: Plan, *, dataset: str, batch: str) -> dict[str, dict[str, float]]:
    """Quality of the CTF fits of a batch as {micrograph: {column: value}}; empty without a CTF file.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, batch : str
        Name of the dataset in the config, and number of the batch.
    """
    path, names = plan.dataset(dataset).ctf, plan.batch(dataset, batch)
    if path is None:
        return {}
    quality = _ctf_quality(path, tuple(micrograph_names(plan, dataset)))
    return {name: quality[name] for name in names if name in quality}


@cache
def _ctf_quality(path: str, micrographs: tuple[str, ...]) -> dict[str, dict[str, float]]:
    table = read_ctf_quality(path)
    # the same names as those of the CTF itself
    matched = match_names(table.pop("micrograph").tolist(), micrographs, required=False)["micrograph"]
    # a parameter of a job must equal itself, which NaN does not
    return {name: row.dropna().to_dict() for name, (_, row) in zip(matched, table.iterrows(), strict=True) if name}


def excludes(plan: Plan, experiment: str) -> bool:
    """Whether an experiment excludes micrographs from what is extracted."""
    settings = plan.experiment(experiment).curation
    return bool(settings.exclude or settings.exclude_micrographs)


def excluded(plan: Plan, *, dataset: str, experiment: str, batch: str) -> list[str]:
    """Table of the excluded micrographs of a batch; nothing where the config excludes none.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, experiment, batch : str
        Names of the dataset and of the experiment in the config, and number of the batch.
    """
    return [f"results/{dataset}/{experiment}/excluded/{batch}.tsv"] if excludes(plan, experiment) else []


def all_excluded(plan: Plan, *, dataset: str, experiment: str) -> list[str]:
    """Tables of the excluded micrographs of all batches; nothing where the config excludes none.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, experiment : str
        Names of the dataset and of the experiment in the config.
    """
    if not excludes(plan, experiment):
        return []
    pattern = "results/{dataset}/{experiment}/excluded/{batch}.tsv"
    return all_batches(plan, pattern, dataset=dataset, experiment=experiment)


def judged_measures(plan: Plan, *, dataset: str, experiment: str, batch: str) -> list[str]:
    """Measures of a batch, where verdicts exclude micrographs; lists of names need none.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, experiment, batch : str
        Names of the dataset and of the experiment in the config, and number of the batch.
    """
    judged = plan.experiment(experiment).curation.exclude
    return [f"results/{dataset}/{experiment}/curation/{batch}.tsv"] if judged else []


def batch_names(plan: Plan, *, dataset: str, batch: str) -> list[str]:
    """Names of the micrographs of a batch.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, batch : str
        Name of the dataset in the config, and number of the batch.
    """
    return list(plan.batch(dataset, batch))


def check_exclusions(plan: Plan, dataset: str, experiment: str) -> None:
    """Refuse verdicts on another program's picks, and listed names of micrographs that do not exist.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, experiment : str
        Names of the dataset and of the experiment in the config.
    """
    settings, place = plan.experiment(experiment).curation, f"config, experiments/{experiment}/curation"
    if settings.exclude and experiment in plan.pickers:
        raise UserError(
            f"{place}/exclude: picks of another program have no verdict; list micrographs in exclude_micrographs"
        )
    if plan.settings.watch is not None:
        return
    runs = map(split_run, plan.runs)
    names = {name for used, recipe in runs if recipe == experiment for name in micrograph_names(plan, used)}
    known = names or set(micrograph_names(plan, dataset))
    for key in ("exclude_micrographs", "keep_micrographs"):
        for name in getattr(settings, key):
            if name not in known:
                raise unknown_micrograph(f"{place}/{key}", name, sorted(known))
