"""The whole chain on one micrograph, as a notebook calls it: prepare, predict, find centres, drop by rule."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from crisp_core.classes import CLASSES, PARTICLE, channel, file_label
from crisp_core.errors import UserError
from crisp_core.formats.arrays import Grid
from crisp_core.formats.image_checks import MAX_VALUE
from crisp_core.geometry import angstrom_to_px
from crisp_core.picking.finders import DEFAULT
from crisp_core.picking.finders.finder import Finder
from crisp_core.picking.removal import apply_rules
from crisp_core.picking.search import find_centers
from crisp_core.picking.settings import RemovalSettings
from crisp_core.preparation.normalization import Prepared
from crisp_core.segmentation.inference import predict
from crisp_core.segmentation.networks import TrainedNetwork, load_network
from crisp_core.segmentation.preparing import prepared_for


class PickedMicrograph(NamedTuple):
    """Picks of one micrograph, and the maps behind them.

    Attributes
    ----------
    picks : DataFrame
        Columns x, y (px of the micrograph, centre of the first pixel is (0, 0)) and score, best first.
    dropped : DataFrame
        The same with a column reason: centres that score enough and that a rule dropped.
    probability : (h, w) float32 array
        Probability of the particle class, at the working pixel size.
    classes : (h, w) uint8 array or None
        Most probable class of every pixel by the numbers of `classes.CLASSES`; None for a network of two classes.
    prepared : Prepared
        Input of the network: image, mask of valid pixels, pixel size (Å/px).
    """

    picks: pd.DataFrame
    dropped: pd.DataFrame
    probability: np.ndarray
    classes: np.ndarray | None
    prepared: Prepared


def pick_micrograph(
    image: np.ndarray,
    pixel_size: float,
    network: TrainedNetwork | str | Path,
    *,
    diameter_angstrom: float,
    threshold: float = 0.5,
    finder: str | Mapping[str, Any] | Finder = DEFAULT,
    margin_angstrom: float = 0.0,
    tile_px: int = 512,
    overlap_px: int = 64,
    turns: bool = False,
    device: str = "cpu",
) -> PickedMicrograph:
    """Pick the particles of one micrograph; the workflow's rules do the same, file by file.

    In the workflow, a dataset may have another working pixel size than the network expects (docs/networks.md).

    Parameters
    ----------
    image : (h, w) array
        Grey values, row 0 is y = 0; `micrographs.read_micrograph` reads one from a file.
    pixel_size : float
        Å/px.
    network : TrainedNetwork, str or Path
        Loaded by `networks.load_network`, or the path of its checkpoint.
    diameter_angstrom : float
        Longest extent of the particle, in Å. The image is brought to the pixel size that the network expects.
    threshold : float
        Lowest score of a pick, 0 to 1.
    finder : str, mapping or Finder
        Finder of centers, as in `picking.search.find_centers`, such as the entry `finder` of a `centers.yaml`.
    margin_angstrom : float
        Edge that does not count, in Å.
    tile_px, overlap_px, turns, device
        As in `inference.predict`.

    Raises
    ------
    UserError
        If the image, the checkpoint or an option cannot be used, or they do not fit each other.
    """
    check_image(image, pixel_size, diameter_angstrom)
    check_options(threshold, margin_angstrom, tile_px, overlap_px)
    trained = network if isinstance(network, TrainedNetwork) else load_network(network, device=device)
    image = np.asarray(image, dtype=np.float32)
    prepared = prepared_for(trained.facts.input, image, pixel_size, diameter_angstrom, margin_angstrom)
    channels = predict(
        trained.network, prepared.image, tile_px=tile_px, overlap_px=overlap_px, turns=turns, device=device
    )
    names = trained.facts.classes
    # the workflow keeps its maps in 16 bits
    probability = channels[channel(names, CLASSES[PARTICLE])].astype(np.float16).astype(np.float32)
    classes = file_label(channels.argmax(axis=0), names) if len(names) > 2 else None
    found = find_centers(probability, finder, diameter_px=angstrom_to_px(diameter_angstrom, prepared.pixel_size))
    kept, dropped = apply_rules(
        found,
        Grid(probability.shape, prepared.pixel_size, image.shape),
        valid=prepared.valid,
        label=classes,
        removal=RemovalSettings(),
        diameter_px=angstrom_to_px(diameter_angstrom, pixel_size),
        box_px=0,
    )
    picks, dropped = (rows[rows["score"] >= threshold].reset_index(drop=True) for rows in (kept, dropped))
    return PickedMicrograph(picks, dropped, probability, classes, prepared)


def check_image(image: np.ndarray, pixel_size: float, diameter_angstrom: float) -> None:
    """Refuse an array that is not an image (h, w) of finite values, and lengths that are not positive.

    Parameters
    ----------
    image : (h, w) array
        Grey values of one micrograph.
    pixel_size : float
        Pixel size of the image, in Å/px.
    diameter_angstrom : float
        Particle diameter, in Å.
    """
    if np.ndim(image) != 2 or np.size(image) == 0:
        raise UserError(f"image: has the shape {np.shape(image)}; give one micrograph of shape (height, width)")
    if (kind := np.asarray(image).dtype).kind not in "biuf":
        raise UserError(f"image: holds values of the type {kind}; give real numbers")
    if not np.isfinite(image).all():
        raise UserError("image: holds NaN or infinite values; replace them, such as by the median")
    if np.abs(image, dtype=float).max() > MAX_VALUE:
        raise UserError(f"image: holds values beyond {MAX_VALUE:g}; divide it by a number")
    for name, value in (("pixel_size", pixel_size), ("diameter_angstrom", diameter_angstrom)):
        if not 0 < value < np.inf:
            raise UserError(f"{name}: {value} is not a positive number; give it in Å")


def check_options(threshold: float, margin_angstrom: float, tile_px: int, overlap_px: int) -> None:
    """Refuse options of `pick_micrograph` that would leave out part of the micrograph or all picks.

    Parameters
    ----------
    threshold : float
        Lowest score of a pick.
    margin_angstrom : float
        Edge that does not count, in Å.
    tile_px, overlap_px : int
        Side of a tile and overlap of neighbours, in working pixels.
    """
    if not math.isfinite(threshold):
        raise UserError(f"threshold: {threshold} is not a number; give the lowest score of a pick, such as 0.5")
    if not 0 <= margin_angstrom < math.inf:
        raise UserError(f"margin_angstrom: {margin_angstrom} is not a length; give 0 or more")
    if not 0 <= 2 * overlap_px <= tile_px or tile_px < 1:
        raise UserError(f"overlap_px: {overlap_px} is not between 0 and half of tile_px, {tile_px}; give another")
