"""Other pickers and comparisons."""

from typing import Any

from crisp_core.paths import matching_files
from crisp_core.pickers import PICKERS
from crisp_core.pickers.files import Files
from crisp_core.pickers.picker import Picker
from crisp_core.plan.batches import all_batches
from crisp_core.plan.datasets import followed_lists, simulation_batch
from crisp_core.plan.jobs import batch_jobs, training_jobs
from crisp_core.plan.leaks import parts_are_unknown
from crisp_core.plan.micrographs import batch_files
from crisp_core.plan.networks import is_searched, trained_run
from crisp_core.plan.plan import Plan
from crisp_core.settings.questions import picker_name

# settings that are applied after the program has run
AFTER_PICKING = ("threshold", "leak")


def picker_of(plan: Plan, experiment: str) -> Picker:
    """Section picker of an experiment in which another program picks."""
    picker = plan.experiment(experiment).picker
    if picker is None:
        raise KeyError(f"{experiment} has no other picker")
    return picker


def programs(*, on_gpu: bool) -> list[str]:
    """Names of the pickers that run a program, with a GPU or without."""
    return [name for name, picker in PICKERS.items() if not picker.from_files and picker.uses_gpu == on_gpu]


def run_quarantine(plan: Plan, *, dataset: str, experiment: str) -> list[str]:
    """Tables of the micrographs that the batches of a run refused.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, experiment : str
        Names of the dataset and of the experiment in the config.
    """
    table = f"quarantine/{picker_name(plan.experiment(experiment)) or 'predict'}-{{batch}}.tsv"
    return all_batches(plan, f"results/{dataset}/{experiment}/{table}", dataset=dataset)


def from_files(plan: Plan) -> list[str]:
    """Experiments whose picks are read from files."""
    return [name for name in plan.pickers if reads_files(plan, name)]


def reads_files(plan: Plan, experiment: str) -> bool:
    """Whether the picks of an experiment come from files."""
    picker = plan.experiment(experiment).picker
    return picker is not None and picker.from_files


def picked_files(plan: Plan, *, experiment: str) -> list[str]:
    """Files from which an experiment's picks are read."""
    picker = picker_of(plan, experiment)
    return matching_files(picker.files) if isinstance(picker, Files) else []


def listed_picks(plan: Plan, *, experiment: str) -> list[str]:
    """Files that lists among an experiment's files of picks name."""
    return followed_lists(picked_files(plan, experiment=experiment))


def picker_keys(plan: Plan, *keys: str, experiment: str) -> dict[str, Any]:
    """The settings `keys`, as far as the program of an experiment's picker has them."""
    picker = picker_of(plan, experiment)
    return picker.plain(*(key for key in keys if key in type(picker).model_fields))


def picker_training(plan: Plan, *, experiment: str) -> dict[str, Any]:
    """Settings of an experiment's picker on which its training depends."""
    picker = picker_of(plan, experiment)
    return picker.plain(without=(*AFTER_PICKING, *picker.only_for_picking))


def picker_picking(plan: Plan, *, experiment: str) -> dict[str, Any]:
    """Settings of an experiment's picker on which its candidates depend."""
    return picker_of(plan, experiment).plain(without=AFTER_PICKING)


def picker_micrographs(plan: Plan, *, dataset: str, experiment: str, batch: str) -> list[str]:
    """Files of the whole micrographs of a batch, where the picker reads them.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, experiment, batch : str
        Names of the dataset and of the experiment in the config, and number of the batch.
    """
    picker = plan.experiment(experiment).picker
    if picker is None or not picker.whole_micrographs:
        return []
    return batch_files(plan, dataset=dataset, batch=batch) + simulation_batch(plan, dataset=dataset, batch=batch)


def trained_detector(plan: Plan, *, dataset: str, experiment: str) -> list[str]:
    """Detector that the picker trains; nothing for one that does not train.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, experiment : str
        Names of the dataset and of the experiment in the config.
    """
    picker = plan.experiment(experiment).picker
    return [f"results/{dataset}/{experiment}/detector.sav"] if picker is not None and picker.trains else []


def found_pattern(plan: Plan, experiment: str) -> str:
    """File of the candidates of another picker in a batch, or for picks from files in all batches."""
    if reads_files(plan, experiment):
        return "results/{dataset}/{experiment}/imported.star"
    return f"results/{{dataset}}/{{experiment}}/found/{picker_name(plan.experiment(experiment))}/{{batch}}.star"


def found_picks(plan: Plan, *, dataset: str, experiment: str, batch: str) -> str:
    """File of the candidates of another picker in a batch.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, experiment, batch : str
        Names of the dataset and of the experiment in the config, and number of the batch.
    """
    return found_pattern(plan, experiment).format(dataset=dataset, experiment=experiment, batch=batch)


def all_found(plan: Plan, *, dataset: str, experiment: str) -> list[str]:
    """Files of all that another picker found.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, experiment : str
        Names of the dataset and of the experiment in the config.
    """
    return sorted(set(all_batches(plan, found_pattern(plan, experiment), dataset=dataset, experiment=experiment)))


def picked_names(plan: Plan, *, dataset: str, experiment: str) -> list[str]:
    """Table of the micrographs that an experiment's files of picks name; programs see all micrographs.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, experiment : str
        Names of the dataset and of the experiment in the config.
    """
    return [f"results/{dataset}/{experiment}/picked_names.tsv"] if reads_files(plan, experiment) else []


def chosen_threshold(plan: Plan, *, dataset: str, experiment: str) -> list[str]:
    """Threshold of another picker, where it is chosen on the validation part.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, experiment : str
        Names of the dataset and of the experiment in the config.
    """
    threshold = picker_of(plan, experiment).threshold
    return [f"results/{dataset}/{experiment}/threshold.yaml"] if threshold is None else []


def given_threshold(plan: Plan, *, experiment: str) -> float | str | None:
    """Threshold that the config gives: a number, null, or the word of another picker's entry."""
    settings = plan.experiment(experiment)
    return settings.centers.threshold if settings.picker is None else settings.picker.threshold


def compared_entries(plan: Plan, comparison: str) -> list[str]:
    """Experiments of a comparison."""
    return plan.settings.comparisons[comparison].entries


def compared_stars(plan: Plan, kind: str, *, dataset: str, comparison: str) -> list[str]:
    """Picks or candidates of all entries, batch by batch.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    kind : str
        Folder of the star files in a run, such as picks.
    dataset, comparison : str
        Names of the dataset and of the comparison in the config.
    """
    pattern = f"results/{{dataset}}/{{experiment}}/{kind}/{{batch}}.star"
    return [
        path
        for entry in compared_entries(plan, comparison)
        for path in all_batches(plan, pattern, dataset=dataset, experiment=entry)
    ]


def compared_names(plan: Plan, *, dataset: str, comparison: str) -> list[str]:
    """Tables of the micrographs named by the entries whose picks come from files.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, comparison : str
        Names of the dataset and of the comparison in the config.
    """
    entries = compared_entries(plan, comparison)
    return [path for entry in entries for path in picked_names(plan, dataset=dataset, experiment=entry)]


def compared_quarantines(plan: Plan, *, dataset: str, comparison: str) -> list[str]:
    """Tables of what each entry could not use.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, comparison : str
        Names of the dataset and of the comparison in the config.
    """
    return [f"results/{dataset}/{entry}/quarantine.tsv" for entry in compared_entries(plan, comparison)]


def entry_facts(plan: Plan, *, dataset: str, comparison: str) -> dict[str, dict[str, Any]]:
    """Kind, leak and origin of the threshold of every entry of a comparison.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, comparison : str
        Names of the dataset and of the comparison in the config.
    """
    return {entry: _entry_facts(plan, dataset, entry) for entry in compared_entries(plan, comparison)}


def _entry_facts(plan: Plan, dataset: str, entry: str) -> dict[str, Any]:
    experiment = plan.experiment(entry)
    threshold = given_threshold(plan, experiment=entry)
    leak: bool | str
    if experiment.picker is not None:
        leak = experiment.picker.leak
    else:
        leak = "unknown" if parts_are_unknown(plan, dataset, entry) else False
    return {
        "kind": picker_name(experiment) or "network",
        "leak": leak if isinstance(leak, str) else {True: "yes", False: "no"}[leak],
        "threshold_from": str(threshold) if threshold is not None else _threshold_source(plan, dataset, entry),
    }


def _threshold_source(plan: Plan, dataset: str, entry: str) -> str:
    """Where a threshold comes from that the entry does not give: validation, a shipped network, or another run."""
    if plan.experiment(entry).picker is not None:
        return "validation"
    if trained_run(plan, dataset, entry) != (dataset, entry):
        return str(plan.experiment(entry).trained)
    return "validation" if is_searched(plan, dataset, entry) else "shipped"


def entry_jobs(plan: Plan, *, dataset: str, comparison: str) -> dict[str, dict[str, list[tuple[str, str]]]]:
    """Folders and jobs whose times are the cost of training and of picking, for each entry of a comparison.

    Jobs of batches are named one by one, since the folder may also have measurements of batches that are gone.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, comparison : str
        Names of the dataset and of the comparison in the config.
    """
    return {entry: _entry_jobs(plan, dataset, entry) for entry in compared_entries(plan, comparison)}


def _entry_jobs(plan: Plan, dataset: str, entry: str) -> dict[str, list[tuple[str, str]]]:
    picker = plan.experiment(entry).picker
    if picker is not None:
        rule = f"pick_with_program{'_on_gpu' if picker.uses_gpu else ''}/{picker_name(plan.experiment(entry))}"
        training = [(f"results/{dataset}/{entry}", "train_picker")]
        return {"training": training, "picking": batch_jobs(plan, dataset, entry, rule)}
    training = [job for jobs in training_jobs(plan, dataset, entry).values() for job in jobs]
    return {"training": training, "picking": batch_jobs(plan, dataset, entry, "predict", "pick")}
