"""Check of a whole config: defaults filled in, one line for the first mistake."""

import copy
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from crisp_core.errors import UserError
from crisp_core.mistakes import one_line
from crisp_core.settings.config import Config
from crisp_core.settings.dataset_checks import check_dataset
from crisp_core.settings.inheritance import check_named_networks, check_pickers, check_trained, extended
from crisp_core.settings.run_checks import check_experiment, check_network, check_recipe, check_references, check_run
from crisp_core.settings.seeded import add_seeded
from crisp_core.settings.sizes import fill_working_pixel_size
from crisp_core.settings.table_checks import check_comparison, check_table

LARGEST_NUMBER = 1e12
REQUIRED = ("run", "datasets", "experiments")
# of a dataset: sources that are absent, and not null, where they are not given
SOURCES = ("micrographs", "simulation", "coordinates")


def check_settings(settings: dict[str, Any]) -> dict[str, Any]:
    """Check a config and fill its defaults in, in place; return it.

    Entries inherit from the entry that they `extend`, `~` in paths becomes the user's home folder, and tables get
    their experiments for every seed, under the names of `seeded_name`.

    Raises
    ------
    UserError
        For an unknown key, a wrong type or value, or an impossible combination: its place, and what is allowed.
    """
    check_values("config", settings)
    given = copy.deepcopy(settings.get("experiments"))
    for section in ("datasets", "networks", "experiments"):
        if isinstance(settings.get(section), dict):
            settings[section] = {name: extended(settings[section], name, section) for name in settings[section]}
    check_trained(given, settings.get("experiments"))
    check_pickers(given, settings.get("experiments"))
    check_named_networks(given, settings.get("experiments"))
    fill_defaults(settings)
    check_sections(settings)
    add_seeds(settings)
    return settings


def fill_defaults(settings: dict[str, Any]) -> None:
    """Fill the defaults of all sections in, in place.

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
        filled = Config.model_validate(settings).plain()
    except ValidationError as error:
        raise UserError(one_line(error, settings, Config, place="config")) from error
    for dataset in filled["datasets"].values():
        for key in SOURCES:
            if dataset[key] is None:
                del dataset[key]
    settings.update(filled)


def check_sections(settings: dict[str, Any]) -> None:
    """Check all sections against each other; fills in the working pixel sizes of the datasets."""
    check_references(settings)
    # first the datasets by which networks are compared with others
    compared = {entry["datasets"][0] for entry in settings["networks"].values()}
    for name in sorted(settings["datasets"], key=lambda name: name not in compared):
        fill_working_pixel_size(name, settings)
    for name, dataset in settings["datasets"].items():
        check_dataset(name, dataset)
    for section in ("experiments", "networks"):
        for name, entry in settings[section].items():
            check_recipe(f"config, {section}/{name}", entry)
    for name, experiment in settings["experiments"].items():
        check_experiment(name, experiment)
    for check, section in ((check_network, "networks"), (check_run, "run"), (check_table, "tables")):
        for name in settings[section]:
            check(name, settings)
    for name in settings["comparisons"]:
        check_comparison(name, settings)


def add_seeds(settings: dict[str, Any]) -> None:
    """Add the copies of experiments and networks with the seeds of all tables, in place."""
    own_names = {section: set(settings[section]) for section in ("experiments", "networks")}
    for table in settings["tables"].values():
        for row in table["rows"]:
            for seed in table["seeds"]:
                add_seeded(settings, Path(row).name, seed, own_names)


def check_values(place: str, value: Any) -> None:
    """Refuse NaN, infinity and huge numbers anywhere, and keys that are not text."""
    if isinstance(value, int | float) and not -LARGEST_NUMBER <= value <= LARGEST_NUMBER:
        raise UserError(f"{place}: {value} is not a finite number below 1e12; correct it")
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        if isinstance(value, dict) and not isinstance(key, str):
            raise UserError(f"{place}: the key {key} is not text; put it in quotes")
        check_values(f"{place}{', ' if place == 'config' else '/'}{key}", value[key])
