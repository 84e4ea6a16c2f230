"""Settings and plans of datasets that exist only in name."""

import copy

import pandas as pd

from crisp_core.plan.plan import Plan
from crisp_core.settings.checks import check_settings
from crisp_core.settings.questions import datasets_in_use

MINE = {
    "micrographs": "raw/*.mrc",
    "coordinates": {"files": "raw/*.star", "origin": "top-left"},
    "pixel_size": 1.5,
    "particle_diameter_angstrom": 150,
    "split": {"train": 2, "validation": 1},
}
CONFIG = {
    "run": ["mine/unet"],
    "datasets": {
        "mine": MINE,
        "sim": {"simulation": {"n_micrographs": 12}, "pixel_size": 6, "particle_diameter_angstrom": 150},
        "bare": {"micrographs": "bare/*.mrc", "pixel_size": 3.0, "particle_diameter_angstrom": 300},
    },
    "experiments": {"unet": {}},
}
CONFIG["datasets"]["sim"]["split"] = {"train": 6, "validation": 2}


def config(**changes):
    """CONFIG with sections replaced, or for datasets, experiments and networks, entries added."""
    settings = copy.deepcopy(CONFIG)
    for section, value in copy.deepcopy(changes).items():
        settings[section] = {**settings.get(section, {}), **value} if isinstance(value, dict) else value
    return check_settings(settings)


def table(rows):
    """Table of micrographs from rows (dataset, micrograph, batch, addition)."""
    rows = [
        (dataset, name, f"raw/{name}.mrc", f"{batch:04d}", str(addition)) for dataset, name, batch, addition in rows
    ]
    return pd.DataFrame(rows, columns=["dataset", "micrograph", "path", "batch", "addition"])


def plan(rows=(("mine", "a", 0, 0), ("mine", "b", 1, 0), ("mine", "c", 2, 1), ("sim", "a", 0, 0)), **changes):
    """Plan of such settings, and those micrographs whose datasets are in use."""
    settings = config(**changes)
    used = datasets_in_use(settings)
    return Plan(settings, table([row for row in rows if row[0] in used]))
