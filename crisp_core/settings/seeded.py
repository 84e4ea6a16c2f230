"""Copies of experiments and networks with the seeds of a table."""

from collections.abc import Collection, Mapping
from pathlib import Path

from crisp_core.errors import UserError
from crisp_core.settings.config import Config


def seeded_name(experiment: str, seed: int, settings: Config) -> str:
    """Name of an experiment with a seed: its own name for its own seed, else that of the copy that a table repeats.

    Parameters
    ----------
    experiment : str
        Name of the experiment in the config.
    seed : int
        Seed of the run.
    settings : Config
        Settings of the whole configuration.
    """
    entry = settings.experiments[experiment]
    named = settings.networks.get(entry.network) if isinstance(entry.network, str) else None
    own = entry.seed if named is None else named.seed
    return experiment if seed == (settings.seed if own is None else own) else f"{experiment}-seed{seed}"


def with_seeds(settings: Config) -> Config:
    """Config with the copies of experiments and networks that its tables repeat with other seeds.

    Raises
    ------
    UserError
        If one of the config's own experiments or networks has the name of a copy.
    """
    own_names = {"experiments": set(settings.experiments), "networks": set(settings.networks)}
    for table in settings.tables.values():
        for row in table.rows:
            for seed in table.seeds:
                settings = _with_copy(settings, Path(row).name, seed, own_names)
    return settings


def _with_copy(settings: Config, name: str, seed: int, own_names: Mapping[str, Collection[str]]) -> Config:
    """Config with a copy of an experiment, of its named network and of those that it extends, with another seed."""
    new = seeded_name(name, seed, settings)
    if new == name:
        return settings
    check_free_name("experiments", name, new, seed, own_names)
    if new in settings.experiments:
        return settings
    entry, networks = settings.experiments[name].model_copy(update={"seed": seed}), settings.networks
    if isinstance(entry.network, str) and entry.network in networks:
        copied = f"{entry.network}-seed{seed}"
        check_free_name("networks", entry.network, copied, seed, own_names)
        networks = {copied: networks[entry.network].model_copy(update={"seed": seed})} | networks
        entry = entry.model_copy(update={"network": copied})
    if entry.extend is not None:
        settings = _with_copy(settings, entry.extend, seed, own_names)
        entry = entry.model_copy(update={"extend": seeded_name(entry.extend, seed, settings)})
    experiments = {**settings.experiments, new: entry}
    return settings.model_copy(update={"experiments": experiments, "networks": settings.networks | networks})


def check_free_name(section: str, name: str, new: str, seed: int, own_names: Mapping[str, Collection[str]]) -> None:
    """Refuse an entry of the config with the name that the copy of another entry with a seed needs.

    Parameters
    ----------
    section : str
        Section of the entry: experiments or networks.
    name, new : str
        Names of the entry and of its copy.
    seed : int
        Seed of the copy.
    own_names : mapping of str to names
        Names of the config's own entries, by section.
    """
    if new in own_names[section]:
        raise UserError(f"config, {section}/{new}: a table needs this name for {name} with seed {seed}; rename it")
