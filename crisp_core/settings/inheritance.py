"""Inheritance by `extend`, and keys without effect."""

import copy
from collections.abc import Mapping
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


def check_trained(given: Any, experiments: Any) -> None:
    """Refuse sections that have no effect with a trained network.

    Parameters
    ----------
    given, experiments : mapping
        Section experiments without and with inherited keys, not yet validated.
    """
    for name, experiment in experiments.items() if isinstance(experiments, dict) else ():
        if isinstance(experiment, dict) and experiment.get("trained"):
            useless = sorted({"network", "training", "crf"} & given[name].keys())
            if useless:
                raise UserError(
                    f"config, experiments/{name}: trained has its own network, so {' and '.join(useless)} would "
                    "have no effect; remove that, or remove trained"
                )


def check_named_networks(given: Any, experiments: Any) -> None:
    """Refuse sections that have no effect with a named network; parameters as in `check_trained`."""
    for name, experiment in experiments.items() if isinstance(experiments, dict) else ():
        if isinstance(experiment, dict) and isinstance(experiment.get("network"), str):
            useless = sorted({"training", "crf", "seed"} & given[name].keys())
            if useless:
                raise UserError(
                    f"config, experiments/{name}: network {experiment['network']} is trained elsewhere, so "
                    f"{' and '.join(useless)} would have no effect; move that to its entry of networks"
                )


def check_pickers(given: Any, experiments: Any) -> None:
    """Refuse sections that have no effect with another picker; parameters as in `check_trained`."""
    for name, experiment in experiments.items() if isinstance(experiments, dict) else ():
        picker = experiment.get("picker") if isinstance(experiment, dict) else None
        # the model refuses a picker that is not a mapping
        if picker and isinstance(picker, dict):
            sections = {"trained", "network", "training", "crf", "prediction", "centers"}
            useless = sorted(sections & given[name].keys())
            if useless:
                raise UserError(
                    f"config, experiments/{name}: picker replaces the network, so {' and '.join(useless)} would "
                    "have no effect; remove that, or remove picker"
                )
