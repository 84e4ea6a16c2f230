"""Jobs whose times are the cost of an experiment's network."""

from pathlib import Path

from crisp_core.plan.batches import all_batches
from crisp_core.plan.networks import first_network, predictor
from crisp_core.plan.plan import Plan


def training_jobs(plan: Plan, dataset: str, experiment: str) -> dict[str, list[tuple[str, str]]]:
    """Folder and job of the training of a network, and of its further training, by rule.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, experiment : str
        Names of the dataset and of the experiment in the config.
    """
    first, last = Path(first_network(plan, dataset, experiment)), Path(predictor(plan, dataset, experiment))
    further = {"train_crf": [(last.parent.as_posix(), "train_crf")]} if last.name == "crf.pt" else {}
    return {"train": [(first.parent.as_posix(), "train")]} | further


def batch_jobs(plan: Plan, dataset: str, experiment: str, *rules: str) -> list[tuple[str, str]]:
    """Folder and job of rules for all batches; the folder may also have measurements of batches that are gone.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, experiment : str
        Names of the dataset and of the experiment in the config.
    *rules : str
        Rules with one job per batch.
    """
    folder = f"results/{dataset}/{experiment}"
    return [(folder, job) for rule in rules for job in all_batches(plan, f"{rule}/{{batch}}", dataset=dataset)]
