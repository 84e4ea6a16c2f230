"""Other pickers and comparisons."""

from pathlib import Path
from typing import Any

from crisp_core.paths import matching_files
from crisp_core.plan.datasets import followed_lists
from crisp_core.plan.micrographs import all_batches
from crisp_core.plan.networks import first_network, predictor, trained_run
from crisp_core.plan.plan import Plan, split_run
from crisp_core.settings.checks import picker_name

# settings of a picker on which its training does not depend
AFTER_TRAINING = ("threshold", "leak", "radius_diameters")
# tables of what a run refused, by what picks in it: None is a network, and skimage-log refuses nothing
QUARANTINE: dict[str | None, str] = {
    None: "quarantine/predict-{batch}.tsv",
    "files": "quarantine.tsv",
    "topaz": "quarantine/topaz-{batch}.tsv",
    "topaz-pretrained": "quarantine/topaz-{batch}.tsv",
    "relion-log": "quarantine/relion-log-{batch}.tsv",
}


def run_quarantine(plan: Plan, *, dataset: str) -> list[str]:
    """Tables of the micrographs and files of picks that the runs of a dataset refused."""
    files: list[str] = []
    for run in plan.runs:
        name, experiment = split_run(run)
        pattern = QUARANTINE.get(picker_name(plan.experiment(experiment)))
        if name == dataset and pattern is not None:
            files += all_batches(plan, f"results/{run}/{pattern}", dataset=dataset)
    return list(dict.fromkeys(files))


def run_notices(plan: Plan, *, dataset: str) -> list[str]:
    """Tables of the contradictions between the files of picks of a dataset's runs and the config."""
    runs = [run for run in plan.runs if split_run(run)[0] == dataset]
    return [f"results/{run}/notices.tsv" for run in runs if picker_name(plan.experiment(split_run(run)[1])) == "files"]


def picked_files(plan: Plan, *, experiment: str) -> list[str]:
    """Files from which an experiment's picks are read."""
    return matching_files(plan.experiment(experiment)["picker"]["files"])


def listed_picks(plan: Plan, *, experiment: str) -> list[str]:
    """Files that lists among an experiment's files of picks name."""
    return followed_lists(picked_files(plan, experiment=experiment))


def picker_keys(plan: Plan, *keys: str, experiment: str) -> dict[str, Any]:
    """Those of the settings `keys` that the program of an experiment's picker has."""
    picker = plan.experiment(experiment)["picker"]
    return {key: picker[key] for key in keys if key in picker}


def picker_training(plan: Plan, *, experiment: str) -> dict[str, Any]:
    """Settings of an experiment's picker on which its training depends."""
    picker = plan.experiment(experiment)["picker"]
    return {key: value for key, value in picker.items() if key not in AFTER_TRAINING}


def topaz_detector(plan: Plan, *, dataset: str, experiment: str) -> list[str]:
    """Detector that Topaz trains; nothing for one that comes with Topaz."""
    trains = plan.experiment(experiment)["picker"]["program"] == "topaz"
    return [f"results/{dataset}/{experiment}/detector.sav"] if trains else []


def found_pattern(plan: Plan, experiment: str) -> str:
    """File of all that another picker found in a batch, or for picks from files in all batches."""
    kind = str(picker_name(plan.experiment(experiment)))
    if kind == "files":
        return "results/{dataset}/{experiment}/imported.star"
    return f"results/{{dataset}}/{{experiment}}/found/{kind.removesuffix('-pretrained')}/{{batch}}.star"


def found_picks(plan: Plan, *, dataset: str, experiment: str, batch: str) -> str:
    """File of all that another picker found in a batch."""
    return found_pattern(plan, experiment).format(dataset=dataset, experiment=experiment, batch=batch)


def all_found(plan: Plan, *, dataset: str, experiment: str) -> list[str]:
    """Files of all that another picker found."""
    return sorted(set(all_batches(plan, found_pattern(plan, experiment), dataset=dataset, experiment=experiment)))


def picked_names(plan: Plan, *, dataset: str, experiment: str) -> list[str]:
    """Table of the micrographs that an experiment's files of picks name; programs see all micrographs."""
    files = picker_name(plan.experiment(experiment)) == "files"
    return [f"results/{dataset}/{experiment}/picked_names.tsv"] if files else []


def chosen_threshold(plan: Plan, *, dataset: str, experiment: str) -> list[str]:
    """Threshold of another picker, where it is chosen on the validation part."""
    threshold = plan.experiment(experiment)["picker"]["threshold"]
    return [f"results/{dataset}/{experiment}/threshold.yaml"] if threshold is None else []


def compared_entries(plan: Plan, comparison: str) -> list[str]:
    """Experiments of a comparison."""
    return plan.settings["comparisons"][comparison]["entries"]


def compared_stars(plan: Plan, kind: str, *, dataset: str, comparison: str) -> list[str]:
    """Picks or candidates of all entries, batch by batch."""
    pattern = f"results/{{dataset}}/{{experiment}}/{kind}/{{batch}}.star"
    return [
        path
        for entry in compared_entries(plan, comparison)
        for path in all_batches(plan, pattern, dataset=dataset, experiment=entry)
    ]


def compared_names(plan: Plan, *, dataset: str, comparison: str) -> list[str]:
    """Tables of the micrographs named by the entries whose picks come from files."""
    entries = compared_entries(plan, comparison)
    return [path for entry in entries for path in picked_names(plan, dataset=dataset, experiment=entry)]


def entry_facts(plan: Plan, *, dataset: str, comparison: str) -> dict[str, dict[str, Any]]:
    """Kind, leak and origin of the threshold of every entry of a comparison."""
    return {entry: _entry_facts(plan, dataset, entry) for entry in compared_entries(plan, comparison)}


def _entry_facts(plan: Plan, dataset: str, entry: str) -> dict[str, Any]:
    experiment = plan.experiment(entry)
    if experiment["picker"]:
        threshold, leak = experiment["picker"]["threshold"], experiment["picker"]["leak"]
    else:
        threshold = experiment["centers"]["threshold"]
        leak = "unknown" if parts_are_unknown(plan, dataset, entry) else False
    return {
        "kind": picker_name(experiment) or "network",
        "leak": {True: "yes", False: "no"}.get(leak, leak),
        "threshold_from": "validation" if threshold is None else str(threshold),
    }


def parts_are_unknown(plan: Plan, dataset: str, experiment: str) -> bool:
    """Whether a network may have been trained on other parts than this plan's: that of an earlier run, or a file."""
    run = trained_run(plan, dataset, experiment)
    if isinstance(run, Path):
        return True
    network = plan.experiment(run[1])["network"]
    return isinstance(network, str) and network not in plan.settings["networks"]


def entry_jobs(plan: Plan, *, dataset: str, comparison: str) -> dict[str, dict[str, list[tuple[str, str]]]]:
    """Folders and rules whose times are the cost of training and of picking, for each entry of a comparison."""
    return {entry: _entry_jobs(plan, dataset, entry) for entry in compared_entries(plan, comparison)}


def _entry_jobs(plan: Plan, dataset: str, entry: str) -> dict[str, list[tuple[str, str]]]:
    own, kind = f"results/{dataset}/{entry}", picker_name(plan.experiment(entry))
    if kind is not None:
        rule = f"pick_{kind.removesuffix('-pretrained').replace('-', '_')}"
        return {"training": [(own, "train_topaz")], "picking": [(own, rule)]}
    first, last = Path(first_network(plan, dataset, entry)), Path(predictor(plan, dataset, entry))
    training = [(first.parent.as_posix(), "train")]
    if last.name == "crf.pt":
        training.append((last.parent.as_posix(), "train_crf"))
    return {"training": training, "picking": [(own, "predict"), (own, "pick")]}
