"""Copies of experiments and networks with the seeds of a table."""

import copy
from collections.abc import Collection, Mapping
from typing import Any

from crisp_core.errors import UserError


def seeded_name(experiment: str, seed: int, settings: Mapping[str, Any]) -> str:
    """Name of an experiment with a seed: its own name for its own seed, else that of the copy that a table repeats."""
    entry = settings["experiments"][experiment]
    named = isinstance(entry["network"], str) and entry["network"] in settings["networks"]
    own = settings["networks"][entry["network"]]["seed"] if named else entry["seed"]
    return experiment if seed == (settings["seed"] if own is None else own) else f"{experiment}-seed{seed}"


def add_seeded(settings: dict[str, Any], name: str, seed: int, own_names: Mapping[str, Collection[str]]) -> None:
    """Add copies of an experiment, of its named network and of those that it extends, with another seed; in place.

    Raises
    ------
    UserError
        If one of the config's own experiments or networks has the name of the copy.
    """
    new = seeded_name(name, seed, settings)
    if new == name:
        return
    check_free_name("experiments", name, new, seed, own_names)
    if new in settings["experiments"]:
        return
    entry = copy.deepcopy(settings["experiments"][name]) | {"seed": seed}
    settings["experiments"][new] = entry
    if isinstance(entry["network"], str) and entry["network"] in settings["networks"]:
        network, entry["network"] = entry["network"], f"{entry['network']}-seed{seed}"
        check_free_name("networks", network, entry["network"], seed, own_names)
        settings["networks"].setdefault(entry["network"], settings["networks"][network] | {"seed": seed})
    if entry["extend"] is not None:
        add_seeded(settings, entry["extend"], seed, own_names)
        entry["extend"] = seeded_name(entry["extend"], seed, settings)


def check_free_name(section: str, name: str, new: str, seed: int, own_names: Mapping[str, Collection[str]]) -> None:
    """Refuse an entry of the config with the name that the copy of another entry with a seed needs."""
    if new in own_names[section]:
        raise UserError(f"config, {section}/{new}: a table needs this name for {name} with seed {seed}; rename it")
