"""Inputs and parameters of rules from a dataset's entry: simulation, coordinates, CTF, labels."""

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from crisp_core.datasets.settings import CoordinateSettings
from crisp_core.errors import UserError
from crisp_core.formats.coordinates.names import match_names
from crisp_core.formats.coordinates.registry import file_stem, names_micrographs
from crisp_core.formats.relion_autopick import is_coordinate_list, listed_files
from crisp_core.installation import PACKAGE
from crisp_core.paths import Patterns, as_list, matching_files, states_of
from crisp_core.plan.batches import addition_batches, all_additions, all_batches
from crisp_core.plan.plan import EVERY, Plan
from crisp_core.settings.questions import is_zoo, label_source
from crisp_core.simulation.settings import SimulationSettings
from crisp_core.simulation.volumes import volume_source

MICROSCOPE = ("voltage_kv", "spherical_aberration_mm", "amplitude_contrast")
VOLUME_KEYS = ("volume", "volume_pixel_size", "model_resolution_angstrom")
OUTLINE_KEYS = ("map_lowpass_angstrom", "threshold", "without_orientation", "disc_radius_angstrom", "instances")


def volume_path(plan: Plan, dataset: str) -> str | None:
    """Map or model of a simulation; None for the phantom and for an entry of a data bank."""
    simulation = plan.dataset(dataset).simulation
    volume = None if simulation is None else simulation.volume
    # several volumes are a zoo's
    if volume is None or isinstance(volume, list) or is_zoo(plan.dataset(dataset)):
        return None
    kind, name = volume_source(volume)
    return name if kind in ("map", "model") else None


def simulation_of(plan: Plan, dataset: str) -> SimulationSettings:
    """Section simulation of a dataset that is a simulation."""
    simulation = plan.dataset(dataset).simulation
    if simulation is None:
        raise KeyError(f"{dataset} is not a simulation")
    return simulation


def coordinates_of(plan: Plan, dataset: str) -> CoordinateSettings:
    """Section coordinates of a dataset with coordinate files."""
    coordinates = plan.dataset(dataset).coordinates
    if coordinates is None:
        raise KeyError(f"{dataset} has no coordinate files")
    return coordinates


def volume_file(plan: Plan, *, dataset: str) -> list[str]:
    """Map or model of a simulation, where that is a file."""
    path = volume_path(plan, dataset)
    return [] if path is None else [path]


def microscope(plan: Plan, dataset: str) -> dict[str, float]:
    """Voltage (kV), spherical aberration (mm) and amplitude contrast of a dataset's entry."""
    return {key: getattr(plan.dataset(dataset), key) for key in MICROSCOPE}


def dataset_sizes(plan: Plan, *, dataset: str) -> dict[str, float]:
    """Pixel size (Å/px) of a dataset, and the diameter of its particle in Å and in pixels of its micrographs."""
    settings = plan.dataset(dataset)
    pixel_size, diameter = settings.pixel_size, settings.particle_diameter_angstrom
    return {"pixel_size": pixel_size, "diameter_angstrom": diameter, "diameter_px": diameter / pixel_size}


def dataset_optics(plan: Plan, *, dataset: str) -> dict[str, Any]:
    """Sizes of a dataset and its microscope, for rules that compute or write a CTF."""
    return dataset_sizes(plan, dataset=dataset) | {"microscope": microscope(plan, dataset)}


def volume_settings(plan: Plan, *, dataset: str) -> dict[str, Any]:
    """Settings on which the density of a simulation depends."""
    return simulation_of(plan, dataset).plain(*VOLUME_KEYS)


def simulation_settings(plan: Plan, *, dataset: str) -> dict[str, Any]:
    """Settings on which a simulated micrograph depends, besides the density of its particles."""
    return simulation_of(plan, dataset).plain(without=(*VOLUME_KEYS, "n_micrographs", "threshold", "zoo", "seed"))


def simulation_seed(plan: Plan, *, dataset: str) -> int:
    """Seed of a dataset's simulation."""
    own = simulation_of(plan, dataset).seed
    return plan.settings.seed if own is None else own


def of_simulation(plan: Plan, pattern: str, *, dataset: str, batch: str) -> list[str]:
    """`pattern` for a batch of a simulation; nothing for a dataset of files.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    pattern : str
        Path of a result with placeholders in braces, such as {batch}.
    dataset, batch : str
        Name of the dataset in the config, and number of the batch.
    """
    return [pattern.format(dataset=dataset, batch=batch)] if dataset in plan.simulated else []


def simulation_batch(plan: Plan, *, dataset: str, batch: str) -> list[str]:
    """Simulated images of a batch; nothing for a dataset of files.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, batch : str
        Name of the dataset in the config, and number of the batch.
    """
    return of_simulation(plan, "results/{dataset}/simulation/{batch}.h5", dataset=dataset, batch=batch)


def simulation_truth(plan: Plan, *, dataset: str, batch: str) -> list[str]:
    """Positions and defocus of a simulated batch; nothing for a dataset of files.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, batch : str
        Name of the dataset in the config, and number of the batch.
    """
    return of_simulation(plan, "results/{dataset}/simulation/{batch}.star", dataset=dataset, batch=batch)


def simulation_batches(plan: Plan, *, dataset: str) -> list[str]:
    """Simulated images of a dataset; nothing for a dataset of files."""
    if dataset not in plan.simulated:
        return []
    return all_batches(plan, "results/{dataset}/simulation/{batch}.h5", dataset=dataset)


def coordinate_settings(plan: Plan, *, dataset: str) -> dict[str, Any]:
    """How a dataset's coordinates are to be read; a simulation writes RELION's."""
    if dataset in plan.simulated:
        # a micrograph of a zoo that its star file does not name has no particle
        complete = {"complete": True} if is_zoo(plan.dataset(dataset)) else {}
        return {"format": "relion-particles", "origin": "top-left"} | complete
    if dataset in plan.with_corrections:
        return {"format": "auto", "origin": "top-left"}
    settings = coordinates_of(plan, dataset)
    pixel_size = plan.dataset(dataset).pixel_size if settings.subtract_origins else None
    return settings.plain("format", "origin", "scale", "least_score") | {"refined_pixel_size": pixel_size}


def coordinate_quarantine(plan: Plan, *, dataset: str) -> list[str]:
    """Table of the refused coordinates, where a dataset has coordinates."""
    return [f"results/{dataset}/quarantine/coordinates.tsv"] if dataset in plan.labelled else []


def coordinate_notices(plan: Plan, *, dataset: str) -> list[str]:
    """Tables of the contradictions between the dataset's coordinate files and its entry."""
    if dataset not in plan.labelled:
        return []
    return all_additions(plan, "results/{dataset}/coordinates/{addition}-notices.tsv", dataset=dataset)


def label_quarantine(plan: Plan, *, dataset: str) -> list[str]:
    """Tables of the simulated micrographs without a label, where thresholds label the simulation."""
    if dataset not in plan.labels_come_from("truth"):
        return []
    return all_batches(plan, "results/{dataset}/labels/{batch}.tsv", dataset=dataset)


def coordinate_files(plan: Plan, *, dataset: str, addition: str) -> list[str]:
    """Coordinate files of an addition to a dataset: the user's, or those of its simulation.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, addition : str
        Name of the dataset in the config, and number of the addition.
    """
    if dataset in plan.simulated:
        return addition_batches(plan, "results/{dataset}/simulation/{batch}.star", dataset=dataset, addition=addition)
    found = addition_of_coordinates(plan, dataset).items()
    return [path for path, number in found if number in (addition, EVERY)]


def listed_coordinates(plan: Plan, *, dataset: str, addition: str) -> list[str]:
    """Coordinate files that the lists among `coordinate_files` name.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, addition : str
        Name of the dataset in the config, and number of the addition.
    """
    return followed_lists(coordinate_files(plan, dataset=dataset, addition=addition))


def user_states(plan: Plan, paths: Patterns, *, dataset: str | None = None) -> dict[str, tuple[int, int]]:
    """Sizes (bytes) and times (s) of the user's files among the paths.

    Nothing of files that rules of an importing workflow make, which Snakemake watches and which are not there before,
    and nothing of CRISP's own files, whose times change with an installation.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    paths : str or sequence of str
        Files, without prefix.
    dataset : str, optional
        Name in the config of the dataset whose micrographs the files are.
    """
    if dataset and plan.dataset(dataset).micrographs_from_rules:
        return {}
    return states_of(path for path in as_list(paths) if not plan.makes(path) and PACKAGE not in Path(path).parents)


def followed_lists(files: Iterable[str]) -> list[str]:
    """Coordinate files that RELION's lists among the files name, so that a change of one is seen."""
    found: list[str] = []
    for path in filter(is_coordinate_list, files):
        # the import says why a list cannot be used
        with suppress(UserError):
            found += [file for file in listed_files(path) if os.access(file, os.R_OK)]
    return found


def stranger_files(plan: Plan, *, dataset: str) -> list[str]:
    """The user's coordinate files that concern no micrograph of the dataset, perhaps none that has arrived yet."""
    if dataset not in plan.with_coordinates:
        return []
    return [path for path, addition in addition_of_coordinates(plan, dataset).items() if addition is None]


def addition_of_coordinates(plan: Plan, dataset: str) -> Mapping[str, str | None]:
    """Addition to which each of the user's coordinate files belongs; EVERY for those of many micrographs, or None."""
    settings = coordinates_of(plan, dataset)
    rows = plan.micrographs[plan.micrographs["dataset"] == dataset]
    additions = tuple(zip(rows["micrograph"], rows["addition"], strict=True))
    return _addition_of_coordinates(tuple(matching_files(settings.files)), settings.format, additions)


@cache
def _addition_of_coordinates(
    files: tuple[str, ...], format: str, additions: tuple[tuple[str, str], ...]
) -> Mapping[str, str | None]:
    of_name = dict(additions)
    named = match_names([file_stem(path) for path in files], list(of_name), required=False)["micrograph"]
    found = {path: of_name.get(name) for path, name in zip(files, named, strict=True)}
    for path in files:
        if found[path] is None and names_micrographs(path, format=format):
            found[path] = EVERY
    # where nothing fits, the import says so
    return found if any(found.values()) else dict.fromkeys(files, EVERY)


def optional_file(plan: Plan, *keys: str, dataset: str) -> list[str]:
    """The file that a dataset's setting names, or nothing where it is null."""
    value: Any = plan.dataset(dataset)
    for key in keys:
        value = getattr(value, key)
    return [] if value is None else [value]


def disc_radius_angstrom(plan: Plan, *, dataset: str) -> float:
    """Radius of disc labels; a quarter of the diameter unless the dataset's entry says otherwise."""
    radius = plan.dataset(dataset).labels.disc_radius_angstrom
    return plan.dataset(dataset).particle_diameter_angstrom / 4 if radius is None else radius


def outline_settings(plan: Plan, *, dataset: str) -> dict[str, Any]:
    """Settings on which the outlines depend, files apart."""
    return plan.dataset(dataset).labels.plain(*OUTLINE_KEYS)


def outline_poses(plan: Plan, *, dataset: str, batch: str) -> list[str]:
    """Orientations for outlines: the user's, those of the simulation, or those that a reconstruction found.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset : str
        Name of the dataset in the config.
    batch : str
        Number of the batch, as text.
    """
    labels = plan.dataset(dataset).labels
    if label_source(plan.dataset(dataset)) != "poses":
        return [f"results/{dataset}/reconstruction/poses.star"]
    return [labels.poses or f"results/{dataset}/simulation/{batch}.star"]


def outline_map(plan: Plan, *, dataset: str) -> list[str]:
    """Map for outlines: of the reconstruction, the user's, or the simulation's; nothing where a mask is enough."""
    if label_source(plan.dataset(dataset)) != "poses":
        return [f"results/{dataset}/reconstruction/map.mrc"]
    given = plan.dataset(dataset).labels.map
    own = [f"results/{dataset}/density.mrc"] if dataset in plan.simulated else []
    return own if given is None else [given]


def initial_map(plan: Plan, *, dataset: str) -> list[str]:
    """Map from which orientations are found: the user's; for matching, otherwise the simulation's."""
    given, source = plan.dataset(dataset).labels.map, label_source(plan.dataset(dataset))
    if source == "aspire" or (given is None and source == "relion"):
        return []
    return [f"results/{dataset}/density.mrc" if given is None else given]


def poses_frame(plan: Plan, *, dataset: str) -> dict[str, Any]:
    """Frame of the orientations' positions; those that the workflow made itself follow its own images."""
    entry = plan.dataset(dataset)
    if label_source(entry) != "poses" or entry.labels.poses is None:
        return {"origin": "top-left"}
    moved = entry.coordinates is not None and entry.coordinates.subtract_origins
    return {"origin": entry.labels.poses_origin, "subtract_origins": moved}
