"""Files of batches and of additions: of all, or of those that a rule needs."""

from collections.abc import Iterable
from typing import Any

from crisp_core.plan.corrections import used_corrections
from crisp_core.plan.plan import FIRST, Plan


def of_batches(pattern: str, batches: Iterable[str], *, dataset: str, experiment: str = "") -> list[str]:
    """`pattern`, which holds {batch}, for every one of the batches.

    Parameters
    ----------
    pattern : str
        Path of a result with placeholders in braces, such as {batch}.
    batches : iterable of str
        Numbers of the batches, as text.
    dataset, experiment : str
        Names of the dataset and of the experiment in the config.
    """
    return [pattern.format(batch=batch, dataset=dataset, experiment=experiment) for batch in batches]


def all_batches(plan: Plan, pattern: str, *, dataset: str, experiment: str = "") -> list[str]:
    """`pattern`, which holds {batch}, for every batch of the dataset.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    pattern : str
        Path of a result with placeholders in braces, such as {batch}.
    dataset, experiment : str
        Names of the dataset and of the experiment in the config.
    """
    return of_batches(pattern, plan.batches[dataset], dataset=dataset, experiment=experiment)


def addition_batches(plan: Plan, pattern: str, *, dataset: str, addition: str = FIRST) -> list[str]:
    """`pattern` for every batch of an addition; of the first one where a rule knows no additions.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    pattern : str
        Path of a result with placeholders in braces, such as {batch}.
    dataset : str
        Name of the dataset in the config.
    addition : str
        Number of the addition, as text.
    """
    return of_batches(pattern, plan.batches_of(dataset, addition), dataset=dataset)


def batches_to_train(plan: Plan, dataset: str) -> list[str]:
    """Batches with micrographs that the split lists for training or validation, or that are corrected; else the first.

    No other batch is an input of a training, so that micrographs that are added later do not rerun it.
    """
    parts = plan.dataset(dataset).split
    listed = {name for part in (parts.train, parts.validation) if isinstance(part, list) for name in part}
    listed = listed or {*used_corrections(plan, dataset)}
    batches = [batch for batch, rows in plan.batches[dataset].items() if listed & rows.keys()]
    return batches or plan.batches_of(dataset, FIRST)


def training_batches(plan: Plan, pattern: str, *, dataset: str, experiment: str = "") -> list[str]:
    """`pattern` for the batches from which the dataset's training and validation parts are taken.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    pattern : str
        Path of a result with placeholders in braces, such as {batch}.
    dataset, experiment : str
        Names of the dataset and of the experiment in the config.
    """
    return of_batches(pattern, batches_to_train(plan, dataset), dataset=dataset, experiment=experiment)


def of_additions(pattern: str, additions: Iterable[str], *, dataset: str) -> list[str]:
    """`pattern`, which holds {addition}, once for every one of the additions.

    Parameters
    ----------
    pattern : str
        Path of a result with placeholders in braces, such as {batch}.
    additions : iterable of str
        Numbers of the additions, as text; duplicates are dropped.
    dataset : str
        Name of the dataset in the config.
    """
    return [pattern.format(addition=addition, dataset=dataset) for addition in dict.fromkeys(additions)]


def all_additions(plan: Plan, pattern: str, *, dataset: str) -> list[str]:
    """`pattern`, which holds {addition}, for every addition to the dataset.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    pattern : str
        Path of a result with placeholders in braces, such as {batch}.
    dataset : str
        Name of the dataset in the config.
    """
    return of_additions(pattern, plan.additions[dataset].values(), dataset=dataset)


def trained_additions(plan: Plan, pattern: str, *, dataset: str) -> list[str]:
    """`pattern`, which holds {addition}, for the additions with training or validation micrographs.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    pattern : str
        Path of a result with placeholders in braces, such as {batch}.
    dataset : str
        Name of the dataset in the config.
    """
    additions = plan.additions[dataset]
    return of_additions(pattern, (additions[batch] for batch in batches_to_train(plan, dataset)), dataset=dataset)


def batch_addition(plan: Plan, pattern: str, *, dataset: str, batch: str) -> str:
    """`pattern`, which holds {addition}, for the addition to which the batch belongs.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    pattern : str
        Path of a result with placeholders in braces, such as {batch}.
    dataset : str
        Name of the dataset in the config.
    batch : str
        Number of the batch, as text.
    """
    return pattern.format(dataset=dataset, addition=plan.additions[dataset].get(batch, FIRST))


def labelled_names(plan: Plan, *, dataset: str, batch: str) -> list[str]:
    """Matched names of the first run and of the addition to which a batch belongs.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset : str
        Name of the dataset in the config.
    batch : str
        Number of the batch, as text.
    """
    additions = [FIRST, plan.additions[dataset].get(batch, FIRST)]
    return of_additions("results/{dataset}/coordinates/{addition}-names.tsv", additions, dataset=dataset)


def drawn_batches(plan: Plan, pattern: str, *, dataset: str) -> list[str]:
    """`pattern`, which holds {batch}, for the batches from which the training and validation parts may be drawn.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    pattern : str
        Path of a result with placeholders in braces, such as {batch}.
    dataset : str
        Name of the dataset in the config.
    """
    return of_batches(pattern, _drawn_from(plan, dataset), dataset=dataset)


def drawn_micrographs(plan: Plan, *, dataset: str) -> list[str]:
    """Names of the micrographs from which the training and validation parts may be drawn."""
    return [name for batch in _drawn_from(plan, dataset) for name in plan.batches[dataset][batch]]


def _drawn_from(plan: Plan, dataset: str) -> list[str]:
    """Batches of the additions with training or validation micrographs."""
    additions = plan.additions[dataset]
    wanted = {additions[batch] for batch in batches_to_train(plan, dataset)}
    return [batch for batch in plan.batches[dataset] if additions[batch] in wanted]


def drawn_parts(plan: Plan, *, dataset: str) -> dict[str, Any]:
    """Parts of the split that are drawn; where it lists micrographs, another test part redraws nothing."""
    parts = plan.dataset(dataset).split
    return parts.plain() | ({"test": []} if isinstance(parts.train, list) else {})
