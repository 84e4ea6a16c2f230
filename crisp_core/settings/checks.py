"""Check of a whole config: defaults filled in, one line for the first mistake."""

import copy
from typing import Any

from pydantic import ValidationError

from crisp_core.errors import UserError
from crisp_core.mistakes import one_line
from crisp_core.settings.config import Config
from crisp_core.settings.dataset_checks import check_dataset
from crisp_core.settings.inheritance import check_effect, extended
from crisp_core.settings.run_checks import check_experiment, check_network, check_recipe, check_references, check_run
from crisp_core.settings.seeded import with_seeds
from crisp_core.settings.shipped import with_default_networks
from crisp_core.settings.sizes import with_working_pixel_sizes
from crisp_core.settings.table_checks import check_comparison, check_table

LARGEST_NUMBER = 1e12
REQUIRED = ("run", "datasets", "experiments")


def check_settings(given: dict[str, Any]) -> Config:
    """Check a config and fill its defaults in.

    Entries inherit from the entry that they `extend`, `~` in paths becomes the user's home folder, datasets get their
    working pixel size, and tables get their experiments for every seed, under the names of `seeded_name`.

    Raises
    ------
    UserError
        For an unknown key, a wrong type or value, or an impossible combination: its place, and what is allowed.
    """
    check_values("config", given)
    settings = with_inheritance(given)
    check_effect(given.get("experiments"), settings.get("experiments"))
    config = with_default_networks(with_defaults(settings))
    check_references(config)
    config = with_working_pixel_sizes(config)
    check_sections(config)
    return with_seeds(config)


def with_inheritance(given: dict[str, Any]) -> dict[str, Any]:
    """Config whose entries have the keys that they inherit."""
    settings = copy.deepcopy(given)
    for section in ("datasets", "networks", "experiments"):
        if isinstance(given.get(section), dict):
            settings[section] = {name: extended(given[section], name, section) for name in given[section]}
    return settings


def with_defaults(settings: dict[str, Any]) -> Config:
    """Config with the defaults of all sections.

    Raises
    ------
    UserError
        For the first key or value that a section does not allow.
    """
    missing = [key for key in REQUIRED if key not in settings]
    if missing:
        raise UserError(
            f"config, top level: {', '.join(missing)} is missing; a config file names run, datasets and experiments, "
            "as config.yaml does"
        )
    try:
        return Config.model_validate(settings)
    except ValidationError as error:
        raise UserError(one_line(error, settings, Config, place="config")) from error


def check_sections(settings: Config) -> None:
    """Check all sections against each other."""
    for name, dataset in settings.datasets.items():
        check_dataset(name, dataset)
    for name, experiment in settings.experiments.items():
        check_recipe(f"config, experiments/{name}", experiment)
    for name, network in settings.networks.items():
        check_recipe(f"config, networks/{name}", network)
    for name, experiment in settings.experiments.items():
        check_experiment(name, experiment)
    for name in settings.networks:
        check_network(name, settings)
    for run in settings.run:
        check_run(run, settings)
    for name in settings.tables:
        check_table(name, settings)
    for name in settings.comparisons:
        check_comparison(name, settings)


def check_values(place: str, value: Any) -> None:
    """Refuse NaN, infinity and huge numbers anywhere, and keys that are not text."""
    if isinstance(value, int | float) and not -LARGEST_NUMBER <= value <= LARGEST_NUMBER:
        raise UserError(f"{place}: {value} is not a finite number below 1e12; correct it")
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        if isinstance(value, dict) and not isinstance(key, str):
            raise UserError(f"{place}: the key {key} is not text; put it in quotes")
        check_values(f"{place}{', ' if place == 'config' else '/'}{key}", value[key])
