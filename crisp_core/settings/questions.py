"""Questions about validated settings."""

import os
from collections.abc import Mapping
from pathlib import Path

from crisp_core.classes import BACKGROUND, CARBON, CLASSES, CONTAMINANT, PARTICLE, REGISTRY
from crisp_core.datasets.settings import SplitSettings
from crisp_core.particles.boxes import Boxes, choose_boxes
from crisp_core.sections import Section
from crisp_core.settings.config import Config, DatasetSettings, ExperimentSettings


def network_owner(experiments: Mapping[str, ExperimentSettings], name: str, *, with_crf: bool = False) -> str:
    """Experiment that trains the network of `name`: the farthest that it extends with an equal network and training.

    `with_crf` asks for the one that trains it further, with or without a CRF, whose section crf is equal too.

    Parameters
    ----------
    experiments : mapping of str to ExperimentSettings
        Settings of all experiments, by name.
    name : str
        Name of the experiment.
    with_crf : bool
        Compare section crf too.
    """
    sections = ("picker", "network", "training", "seed", "trained", *(("crf",) if with_crf else ()))
    parent = experiments[name].extend
    while parent is not None and all(
        getattr(experiments[name], key) == getattr(experiments[parent], key) for key in sections
    ):
        name, parent = parent, experiments[parent].extend
    return name


def split_run(run: str) -> tuple[str, str]:
    """Dataset and experiment of a run, such as ``embedded/unet``."""
    dataset, _, experiment = run.rpartition("/")
    return dataset, experiment


def named_runs(settings: Config) -> list[str]:
    """Runs, and rows of tables that name a dataset."""
    return [*settings.run, *(row for table in settings.tables.values() for row in table.rows if "/" in row)]


def datasets_in_use(settings: Config) -> list[str]:
    """Datasets of the runs, the tables, the comparisons and the networks, sorted."""
    named = [split_run(run)[0] for run in named_runs(settings)]
    named += [comparison.dataset for comparison in settings.comparisons.values()]
    named += [dataset for network in settings.networks.values() for dataset in network.datasets]
    return sorted(set(named))


def has_own_network(experiment: ExperimentSettings) -> bool:
    """Whether an experiment describes its network itself, instead of naming one or another picker."""
    return not experiment.picker and experiment.trained is None and not isinstance(experiment.network, str)


def has_truth(dataset: DatasetSettings) -> bool:
    """Whether particles of a dataset are known: it is a simulation, or has coordinates or corrections."""
    return has_independent_truth(dataset) or dataset.corrections is not None


def has_independent_truth(dataset: DatasetSettings) -> bool:
    """Whether particles are known from another source than corrections of CRISP's own picks."""
    return dataset.simulation is not None or dataset.coordinates is not None


def searches_centers(dataset: DatasetSettings, experiment: ExperimentSettings) -> bool:
    """Whether finder and threshold are chosen on the validation part of the dataset that the experiment runs on."""
    if experiment.picker is not None or experiment.trained is not None:
        return False
    if not isinstance(experiment.network, str):
        return True
    # corrections do not change the picks of the network that they correct
    return has_independent_truth(dataset) and not is_empty(dataset.split, "validation")


def label_source(dataset: DatasetSettings) -> str:
    """Where a dataset's labels come from, as its entry says or by default."""
    if dataset.corrections is not None:
        return "corrections"
    return dataset.labels.source or ("disc" if dataset.simulation is None else "truth")


def picker_name(experiment: ExperimentSettings) -> str | None:
    """Picker of an experiment: files, the name of a program, or None for a network."""
    return None if experiment.picker is None else experiment.picker.program


def is_zoo(dataset: DatasetSettings) -> bool:
    """Whether a dataset is a simulation of many volumes at one nominal scale."""
    return dataset.simulation is not None and dataset.simulation.zoo is not None


def label_classes(dataset: DatasetSettings) -> list[str]:
    """Classes that a dataset's labels can have: a simulation's truth alone has more than two."""
    if is_zoo(dataset):
        return [CLASSES[number] for number in (BACKGROUND, PARTICLE, CONTAMINANT, CARBON)]
    scenery = None if dataset.simulation is None else dataset.simulation.scenery
    if scenery is None or label_source(dataset) != "truth":
        return [*CLASSES[:2]]
    drawn = [name for name, element in scenery if _is_drawn(element)]
    return [*CLASSES[:2], *(each.name for each in REGISTRY if not set(each.elements).isdisjoint(drawn))]


def _is_drawn(element: Section) -> bool:
    """Whether a simulation can draw an element of its scenery."""
    return getattr(element, "probability", 0) > 0 or getattr(element, "n_per_micrograph", (0, 0))[1] > 0


def parts_needed(experiment: ExperimentSettings) -> list[str]:
    """Parts of the split that an experiment needs: train for a training, validation to choose a threshold."""
    picker = experiment.picker
    if picker is None:
        given = experiment.trained is not None or isinstance(experiment.network, str)
        return [] if given else ["train", "validation"]
    needed = {"train": picker.trains, "validation": picker.threshold is None}
    return [part for part, yes in needed.items() if yes]


def run_folder(trained: str) -> str:
    """Folder that `trained` names, as seen from here, so that an absolute path into this run is of this run."""
    return Path(os.path.relpath(trained)).as_posix()


def is_empty(split: SplitSettings, part: str) -> bool:
    """Whether a dataset's split leaves no micrograph for a part; `all` is every part."""
    return getattr(split, part, None) in (0, [])


def particle_boxes(dataset: DatasetSettings, experiment: ExperimentSettings) -> Boxes:
    """Boxes of an experiment's particles on a dataset: see `particles.boxes.choose_boxes`."""
    particles = experiment.particles
    return choose_boxes(
        dataset.pixel_size,
        dataset.particle_diameter_angstrom,
        box_angstrom=particles.box_angstrom,
        background_radius_angstrom=particles.background_radius_angstrom,
        stack_pixel_size=particles.stack_pixel_size,
    )
