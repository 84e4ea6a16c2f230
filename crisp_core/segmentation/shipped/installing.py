"""Installation of a trained network among those that come with CRISP."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import torch

from crisp_core.errors import UserError, opening
from crisp_core.formats.centers import read_centers, write_centers
from crisp_core.segmentation.checkpoints import NetworkFacts, read_facts, training_input, write_facts
from crisp_core.segmentation.inference import predict
from crisp_core.segmentation.networks import load_network
from crisp_core.segmentation.shipped import FOLDER, sha256

# largest difference of a probability between weights in half and in single precision
TOLERANCE = 1e-3
LARGE = 50_000
MAX_IMAGES = 2
log = logging.getLogger("crisp")


class Installed(NamedTuple):
    """An installed network.

    Attributes
    ----------
    path : Path
        Its weights.
    difference : float
        Largest difference of a probability that half precision makes on the images.
    is_half : bool
        Whether half precision is stored.
    """

    path: Path
    difference: float
    is_half: bool


def add_network(
    network: Path,
    *,
    name: str,
    centers: Path,
    pixels_per_diameter: float | None = None,
    images: Sequence[Path] = (),
    folder: Path = FOLDER,
) -> Installed:
    """Write a trained network, its finder, threshold and digest into the folder of those that come with CRISP.

    Parameters
    ----------
    network : Path
        Checkpoint of a training.
    name : str
        Name by which an experiment names the network.
    centers : Path
        centers.yaml of a run with this network on the validation proteins.
    pixels_per_diameter : float, optional
        Width (px) at which the network sees a particle from now on; by default that of its training.
    images : sequence of Path
        Batch files of prepared micrographs, on which maps in half and in single precision are compared; without any,
        images of discs in noise.
    folder : Path
        Folder to write into.
    """
    settings = checked_centers(centers)
    target = folder / f"{name}.pt"
    facts = facts_at_width(read_facts(network), pixels_per_diameter)
    write_network(network, target, facts, half=True)
    difference = largest_difference(network, target, prepared_images(images))
    is_half = difference <= TOLERANCE
    if not is_half:
        write_network(network, target, facts, half=False)
    load_network(target)
    entry = {"sha256": sha256(target), **settings}
    write_centers(target.with_suffix(".yaml"), entry)
    return Installed(target, difference, is_half)


# keys of a centers.yaml that concern its run alone
OF_A_RUN = ("network", "network_sha256", "shipped", "sha256", "placeholder")


def checked_centers(path: Path) -> dict[str, object]:
    """Finder, threshold and calibration of a centers.yaml, without the path of its network."""
    with opening(path):
        contents = read_centers(path)
    if not isinstance(contents, Mapping) or not {"finder", "threshold"} <= contents.keys():
        raise UserError(f"{path}: has no finder or no threshold; give the centers.yaml of a run with this network")
    return {key: value for key, value in contents.items() if key not in OF_A_RUN}


def facts_at_width(facts: NetworkFacts, pixels_per_diameter: float | None) -> NetworkFacts:
    """Facts of a network that expects particles of another width (px) than in its training; None keeps the width.

    Raises
    ------
    UserError
        If the width is not above 0.
    """
    if pixels_per_diameter is not None and not 0 < pixels_per_diameter < np.inf:
        raise UserError(f"--pixels-per-diameter: {pixels_per_diameter:g} is not a width; give one above 0, such as 25")
    trained = training_input(facts).diameter_px
    wanted = facts.input.diameter_px if pixels_per_diameter is None else pixels_per_diameter
    return facts._replace(
        input=facts.input._replace(diameter_px=wanted), trained_diameter_px=None if wanted == trained else trained
    )


def write_network(source: Path, target: Path, facts: NetworkFacts, *, half: bool) -> None:
    """Write the weights of a checkpoint again, with facts; `half` stores its large arrays as float16.

    Parameters
    ----------
    source, target : Path
        Checkpoint to read, and the one to write.
    facts : NetworkFacts
        Facts to write.
    half : bool
        Whether to store arrays of more than `LARGE` numbers, the deep layers', in half precision. The many small
        arrays have a third of the numbers and make most of the difference.
    """
    state = torch.load(source, map_location="cpu", weights_only=True)
    torch.save({key: stored(weights, half=half) for key, weights in state.items()}, target)
    write_facts(target, facts)


def stored(weights: torch.Tensor, *, half: bool) -> torch.Tensor:
    """Weights as they are stored: in half precision only large arrays."""
    return weights.half() if half and weights.is_floating_point() and weights.numel() > LARGE else weights


def prepared_images(paths: Sequence[Path]) -> list[np.ndarray]:
    """First images of batch files, at most `MAX_IMAGES` of each; without files, two images of discs in noise."""
    if not paths:
        return [discs_in_noise(seed) for seed in range(2)]
    found = []
    for path in paths:
        with opening(path), h5py.File(path) as file:
            found += [np.asarray(file["image"][key], dtype=np.float32) for key in list(file["image"])[:MAX_IMAGES]]
    return found


def discs_in_noise(seed: int, *, side_px: int = 384, diameter_px: float = 25.0) -> np.ndarray:
    """Image of discs in white noise, of mean 0 and standard deviation 1.

    Parameters
    ----------
    seed : int
        Seed of places and noise.
    side_px : int
        Side of the image in px.
    diameter_px : float
        Diameter of the discs in px.
    """
    rng = np.random.default_rng(seed)
    y, x = np.indices((side_px, side_px))
    image = rng.normal(size=(side_px, side_px))
    for cy, cx in rng.uniform(0, side_px, size=(60, 2)):
        image -= (y - cy) ** 2 + (x - cx) ** 2 < (diameter_px / 2) ** 2
    return ((image - image.mean()) / image.std()).astype(np.float32)


def largest_difference(one: Path, other: Path, images: Sequence[np.ndarray]) -> float:
    """Largest difference between the probabilities of two checkpoints on images, of all classes.

    Parameters
    ----------
    one, other : Path
        Checkpoints of networks with the same classes.
    images : sequence of (h, w) arrays
        Prepared images.
    """
    networks = [load_network(path).network for path in (one, other)]
    maps = ([predict(network, image, tile_px=512, overlap_px=64) for network in networks] for image in images)
    return max(float(np.abs(first - second).max()) for first, second in maps)
