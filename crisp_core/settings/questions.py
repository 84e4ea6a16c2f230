"""Questions about validated settings."""

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from crisp_core.classes import CLASSES, REGISTRY
from crisp_core.particles.boxes import Boxes, choose_boxes
from crisp_core.pickers import PICKERS


def network_owner(experiments: Mapping[str, Any], name: str, *, with_crf: bool = False) -> str:
    """Experiment that trains the network of `name`: the farthest that it extends with an equal network and training.

    `with_crf` asks for the one that trains it further, with or without a CRF, whose section crf is equal too.
    """
    sections = ("picker", "network", "training", "seed", "trained", *(("crf",) if with_crf else ()))
    parent = experiments[name]["extend"]
    while parent is not None and all(experiments[name][key] == experiments[parent][key] for key in sections):
        name, parent = parent, experiments[parent]["extend"]
    return name


def has_truth(dataset: Mapping[str, Any]) -> bool:
    """Whether particles of a dataset are known: it is a simulation, or has coordinates."""
    return not {"simulation", "coordinates"}.isdisjoint(dataset)


def searches_centers(dataset: Mapping[str, Any], experiment: Mapping[str, Any]) -> bool:
    """Whether finder and threshold are chosen on the validation part of the dataset that the experiment runs on."""
    if experiment["picker"] is not None or experiment["trained"] is not None:
        return False
    return not isinstance(experiment["network"], str) or (
        has_truth(dataset) and not is_empty(dataset["split"], "validation")
    )


def label_source(dataset: Mapping[str, Any]) -> str:
    """Where a dataset's labels come from, as its entry says or by default."""
    return dataset["labels"]["source"] or ("truth" if "simulation" in dataset else "disc")


def picker_name(experiment: Mapping[str, Any]) -> str | None:
    """What picks in an experiment: files, the name of a program, or None for a network."""
    picker = experiment["picker"]
    return None if picker is None else picker.get("program", "files")


def label_classes(dataset: Mapping[str, Any]) -> list[str]:
    """Classes that a dataset's labels can have: a simulation's truth alone has more than two."""
    scenery = dataset.get("simulation", {}).get("scenery")
    drawn = (
        [] if scenery is None or label_source(dataset) != "truth" else [*filter(partial(_is_drawn, scenery), scenery)]
    )
    shown = [each.name for each in REGISTRY if not set(each.elements).isdisjoint(drawn)]
    return [*CLASSES[:2], *shown]


def _is_drawn(scenery: Mapping[str, Any], element: str) -> bool:
    """Whether a simulation can draw an element of its scenery."""
    settings = scenery[element] if isinstance(scenery[element], Mapping) else {}
    return settings.get("probability", 0) > 0 or settings.get("n_per_micrograph", (0, 0))[1] > 0


def parts_needed(experiment: Mapping[str, Any]) -> list[str]:
    """Parts of the split without which an experiment cannot be: to train on, and to choose a threshold on."""
    picker = experiment["picker"]
    if picker is None:
        given = experiment["trained"] is not None or isinstance(experiment["network"], str)
        return [] if given else ["train", "validation"]
    needed = {"train": PICKERS[str(picker_name(experiment))].trains, "validation": picker["threshold"] is None}
    return [part for part, yes in needed.items() if yes]


def run_folder(trained: str) -> str:
    """Folder that `trained` names, as seen from here, so that an absolute path into this run is of this run."""
    return Path(os.path.relpath(trained)).as_posix()


def is_empty(split: Mapping[str, Any], part: str) -> bool:
    """Whether a dataset's split leaves no micrograph for a part; `all` is every part."""
    return split.get(part) in (0, [])


def particle_boxes(dataset: Mapping[str, Any], experiment: Mapping[str, Any]) -> Boxes:
    """Boxes of an experiment's particles on a dataset: see `particles.box_sizes`."""
    others = ("invert_contrast", "float16")
    sizes = {key: value for key, value in experiment["particles"].items() if key not in others}
    return choose_boxes(dataset["pixel_size"], dataset["particle_diameter_angstrom"], **sizes)
