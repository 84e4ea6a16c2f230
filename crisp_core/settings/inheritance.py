"""Inheritance by `extend`, and keys without effect."""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from crisp_core.errors import UserError


def extended(entries: Mapping[str, Any], name: str, section: str) -> Any:
    """One entry with what it inherits: mappings are merged at every depth, anything else is replaced.

    Parameters
    ----------
    entries : mapping
        Entries of a section of the config, by name.
    name : str
        Name of the entry to return.
    section : str
        Name of the section, for error messages.

    Raises
    ------
    UserError
        If an entry extends one that is not there, or, in the end, itself.
    """
    entry, chain = entries[name], [name]
    while isinstance(entries[chain[-1]], dict) and (parent := entries[chain[-1]].get("extend")) is not None:
        if not isinstance(parent, str):
            raise UserError(f"config, {section}/{chain[-1]}/extend: {parent} is not a name; give the name of one entry")
        if parent not in entries:
            raise UserError(
                f"config, {section}/{chain[-1]}/extend: there is no {parent!r}; defined are {', '.join(entries)}"
            )
        if parent in chain:
            raise UserError(f"config, {section}/{name}/extend: {' extends '.join([*chain, parent])}; remove one extend")
        chain.append(parent)
    for parent in chain[1:]:
        entry = merged(entries[parent], entry)
    return entry


def merged(old: Any, new: Any) -> Any:
    """Copy of `old` with the values of `new` in place of its own: mappings at every depth, anything else as a whole."""
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return copy.deepcopy(new)
    return {key: merged(old.get(key), new[key]) if key in new else copy.deepcopy(old[key]) for key in {**old, **new}}


def check_effect(given: Any, experiments: Any) -> None:
    """Refuse sections without effect beside a trained network, another picker or a named network.

    Parameters
    ----------
    given, experiments : mapping
        Section experiments without and with inherited keys, not yet validated.

    Raises
    ------
    UserError
        With the sections, and what takes their effect.
    """
    for name, experiment in experiments.items() if isinstance(experiments, dict) else ():
        for keys, reason, cure in _replaced(experiment) if isinstance(experiment, dict) else ():
            if useless := sorted(keys & given[name].keys()):
                raise UserError(
                    f"config, experiments/{name}: {reason}, so {' and '.join(useless)} would have no effect; {cure}"
                )


def _replaced(experiment: Mapping[str, Any]) -> Iterator[tuple[set[str], str, str]]:
    """Sections without effect in an experiment, why, and the cure."""
    recipe = {"network", "training", "crf"}
    if experiment.get("trained"):
        yield recipe, "trained has its own network", "remove that, or remove trained"
    # the model refuses a picker that is not a mapping
    if isinstance(experiment.get("picker"), dict) and experiment["picker"]:
        sections = {*recipe, "trained", "prediction", "centers"}
        yield sections, "picker replaces the network", "remove that, or remove picker"
    if isinstance(network := experiment.get("network"), str):
        reason = f"network {network} is trained elsewhere"
        yield {"training", "crf", "seed"}, reason, "move that to its entry of networks"
