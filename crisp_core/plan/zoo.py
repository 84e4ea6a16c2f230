"""Inputs and parameters of rules from datasets that simulate many volumes."""

import math
from collections.abc import Mapping
from typing import Any

from crisp_core.paths import check_patterns
from crisp_core.plan.datasets import dataset_sizes, simulation_of
from crisp_core.plan.plan import Plan
from crisp_core.settings.questions import is_zoo
from crisp_core.simulation.volume_lists import (
    VolumeFacts,
    excluded_names,
    listed_volumes,
    membrane_names,
    read_volume_table,
)
from crisp_core.simulation.volumes import volume_source
from crisp_core.simulation.zoo_settings import ZooSettings

# What the simulated micrographs depend on, apart from their zoo.
ZOO_KEYS = ("shape_px", "zoo")


def zoos(plan: Plan) -> list[str]:
    """Datasets that simulate many volumes."""
    return [name for name in plan.simulated if is_zoo(plan.dataset(name))]


def single_volumes(plan: Plan) -> list[str]:
    """Datasets that simulate one volume."""
    return [name for name in plan.simulated if not is_zoo(plan.dataset(name))]


def settings_of(plan: Plan, dataset: str) -> ZooSettings:
    """Section zoo of a dataset that is one."""
    settings = simulation_of(plan, dataset).zoo
    if settings is None:
        raise KeyError(f"{dataset} is not a zoo")
    return settings


def zoo_volumes(plan: Plan, dataset: str) -> dict[str, str]:
    """Volumes of a zoo by name, paths or identifiers, without the excluded ones."""
    return _volumes(plan, dataset, read_volume_table(settings_of(plan, dataset).table))


def _volumes(plan: Plan, dataset: str, table: Mapping[str, VolumeFacts]) -> dict[str, str]:
    patterns = simulation_of(plan, dataset).volume or []
    return listed_volumes(patterns, excluded_names(settings_of(plan, dataset).exclude, table, listed_volumes(patterns)))


def library_files(plan: Plan, *, dataset: str) -> list[str]:
    """Files of a zoo's volumes."""
    return [path for path in zoo_volumes(plan, dataset).values() if volume_source(path).kind in ("map", "model")]


def library_settings(plan: Plan, *, dataset: str) -> dict[str, Any]:
    """Volumes of a zoo by name, membrane proteins among them, their longest extent in voxels, and their resolution."""
    settings = settings_of(plan, dataset)
    table = read_volume_table(settings.table)
    volumes = _volumes(plan, dataset, table)
    largest = dataset_sizes(plan, dataset=dataset)["diameter_px"] * (1 + settings.extent_spread)
    return {
        "volumes": volumes,
        "membrane": membrane_names(table, volumes),
        "extent_px": math.ceil(largest),
        "resolution_angstrom": simulation_of(plan, dataset).model_resolution_angstrom,
    }


def zoo_settings(plan: Plan, *, dataset: str) -> dict[str, Any]:
    """Settings on which a micrograph of a zoo depends, besides its volumes."""
    return simulation_of(plan, dataset).plain(*ZOO_KEYS)


def check_zoo(plan: Plan, dataset: str) -> None:
    """Refuse a zoo whose table or volumes are not there, and excluded names that are unknown."""
    place, table = f"config, datasets/{dataset}/simulation", settings_of(plan, dataset).table
    if table is not None:
        check_patterns(f"{place}/zoo/table", [table], must_exist=True)
    check_patterns(f"{place}/volume", library_files(plan, dataset=dataset), must_exist=True)
