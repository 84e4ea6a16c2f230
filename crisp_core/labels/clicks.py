"""Outlines of particles from their coordinates alone.

Each particle has a box of the low-passed micrograph. Its pixels belong to one of two Gaussian classes of grey values,
particle and background, which are estimated by expectation maximisation: the E step is a conditional random field
(`smooth`), the M step is the mean and the variance of the particle class and its share of the pixels. The centre of a
box is certainly particle; pixels far from the coordinate, or nearer to another one, are certainly background.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
import scipy.ndimage
import scipy.spatial

from crisp_core.labels.click_choice import candidates, choose_best, first_settings, simulate_like, window_to_try
from crisp_core.labels.outlines import Outline, disc_outlines, merge_outlines
from crisp_core.labels.settings import ClickSettings

# Lengths in particle diameters.
BOX_DIAMETERS = 1.9
CORE_DIAMETERS = 0.15
REACH_DIAMETERS = 0.55
RING_DIAMETERS = 0.9
# Log-odds of pixels whose class is certain.
CERTAIN = 30.0
# Guards: smallest contrast in standard deviations between particles, and share of the area within reach.
LEAST_SEPARATION = 0.5
AREA_SHARES = (0.1, 0.8)
# Variance and contrast of constant images, which are divided by.
TINY = 1e-20
# Smallest share of a class, so that its logarithm is finite.
LEAST_SHARE = 1e-3

Smooth = Callable[..., np.ndarray]


class Boxes(NamedTuple):
    """Boxes around n coordinates: grey values and what is known of their pixels, each (n, side, side)."""

    values: np.ndarray
    """Low-passed grey values less the mean of the ring of the box."""
    core: np.ndarray
    """Pixels that are certainly particle."""
    free: np.ndarray
    """Pixels whose class is estimated: within reach of the coordinate, and of no other one that is nearer."""
    ring: np.ndarray
    """Background that the particle class is compared with."""
    corners: np.ndarray
    """(n, 2) x and y of the first pixel."""


class GreyClass(NamedTuple):
    """Gaussian class of grey values."""

    mean: float
    sd: float


class ClickLabel(NamedTuple):
    """Label of a micrograph, and what was estimated on the way."""

    instances: np.ndarray
    """(h, w) int32: 0 background, otherwise number of the coordinate, from 1."""
    separation: float
    """Mean contrast between centre and ring, in standard deviations between particles."""
    diameter_px: float
    """Diameter of a disc of the mean area of the particles; NaN where the label is discs."""
    refusal: str
    """Reason why the label is discs; empty for outlines."""
    unsure: np.ndarray
    """(h, w) bool: pixels that do not count in training, since their probability is close to 0.5."""
    lowpass_diameters: float
    """Low pass of the micrograph in particle diameters; NaN where the label is discs."""
    weight: float
    """Weight of the smoothness kernel; NaN where the label is discs."""


def label_clicks(
    image: np.ndarray,
    valid: np.ndarray,
    xy: np.ndarray,
    *,
    diameter_px: float,
    settings: ClickSettings,
    smooth: Smooth,
    disc_radius_px: float,
) -> ClickLabel:
    """Label the particles of a micrograph by outlines, or by discs where outlines cannot be estimated.

    Parameters
    ----------
    image : (h, w) array
        Prepared micrograph.
    valid : (h, w) bool array
        Pixels that count.
    xy : (n, 2) array
        Coordinates of the particles as (x, y), px.
    diameter_px : float
        Diameter of the particle, px.
    settings : ClickSettings
        Section `labels/clicks`.
    smooth : callable
        Map of log-odds of particle (n, side, side), and the keyword `weight`, to marginals of the same shape.
    disc_radius_px : float
        Radius of the discs, px.
    """
    xy = np.asarray(xy, dtype=float).reshape(-1, 2)
    label = partial(label_by_settings, xy=xy, diameter_px=diameter_px, smooth=smooth, disc_radius_px=disc_radius_px)
    first = label(image, valid, settings=first_settings(settings))
    tried = candidates(settings)
    if first.refusal or len(tried) == 1:
        return first
    rows, columns = window = window_to_try(image.shape, len(xy))
    simulated = simulate_like(image[window], valid[window], first.instances[window], diameter_px=diameter_px)
    near = xy - [columns.start, rows.start]
    near = near[((near >= 0) & (near < simulated.image.shape[::-1])).all(axis=1)]

    def inside(made: np.ndarray, each: ClickSettings) -> np.ndarray:
        """Pixels (h, w) of the particles of an image (h, w), by settings."""
        return label(made, np.ones(made.shape, dtype=bool), settings=each, xy=near).instances > 0

    return label(image, valid, settings=choose_best(simulated, tried, inside))


def label_by_settings(
    image: np.ndarray,
    valid: np.ndarray,
    xy: np.ndarray,
    *,
    diameter_px: float,
    settings: ClickSettings,
    smooth: Smooth,
    disc_radius_px: float,
) -> ClickLabel:
    """Label the particles of a micrograph by settings without null; parameters as those of `label_clicks`.

    Parameters
    ----------
    image, valid : (h, w) arrays
        Prepared micrograph, and its pixels that count.
    xy : (n, 2) array
        Coordinates, px.
    diameter_px, disc_radius_px : float
        Diameter of the particle and radius of the discs, px.
    settings : ClickSettings
        Low pass and weight are numbers.
    smooth : callable
        E step, see `label_clicks`.
    """
    lowpass, weight = settings.lowpass_diameters, settings.weight
    if lowpass is None or weight is None:
        raise ValueError("low pass and weight must be numbers here")
    boxes = cut_boxes(image, valid, xy, diameter_px=diameter_px, lowpass_px=lowpass * diameter_px)
    separation = class_separation(boxes)
    discs = partial(disc_click_label, image.shape, xy, disc_radius_px, separation)
    if separation < LEAST_SEPARATION:
        return discs(
            f"the contrast of the centres is {separation:.2f} of its standard deviation, below {LEAST_SEPARATION}"
        )
    weighted = partial(smooth, weight=weight)
    marginals = estimate_marginals(boxes, smooth=weighted, unary_scale=settings.unary_scale, rounds=settings.rounds)
    inside = marginals > 0.5
    area = mean_area(inside, boxes)
    share = area / (np.pi * (REACH_DIAMETERS * diameter_px) ** 2)
    if not AREA_SHARES[0] <= share <= AREA_SHARES[1]:
        return discs(f"the mean outline fills {share:.0%} of a disc of {REACH_DIAMETERS} diameters")
    unsure = (np.abs(marginals - 0.5) < settings.unsure_margin) & boxes.free
    instances, unsure = (
        merge_outlines(image.shape, range(1, len(xy) + 1), _outlines(masks, boxes, xy)) for masks in (inside, unsure)
    )
    diameter = 2 * float(np.sqrt(area / np.pi))
    return ClickLabel(instances, separation, diameter, "", unsure > 0, lowpass, weight)


def disc_click_label(
    shape: tuple[int, int], xy: np.ndarray, radius_px: float, separation: float, reason: str
) -> ClickLabel:
    """Return a label of discs.

    Parameters
    ----------
    shape : (int, int)
        Height and width of the micrograph, px.
    xy : (n, 2) array
        Coordinates as (x, y), px.
    radius_px : float
        Radius of the discs, px.
    separation : float
        Contrast, see `ClickLabel`.
    reason : str
        Why outlines were not estimated.
    """
    instances = merge_outlines(shape, range(1, len(xy) + 1), disc_outlines(xy, radius_px=radius_px))
    unknown = float("nan")
    return ClickLabel(instances, separation, unknown, reason, np.zeros(shape, dtype=bool), unknown, unknown)


def cut_boxes(image: np.ndarray, valid: np.ndarray, xy: np.ndarray, *, diameter_px: float, lowpass_px: float) -> Boxes:
    """Cut the boxes of all coordinates out of the low-passed micrograph.

    Parameters
    ----------
    image : (h, w) array
        Prepared micrograph.
    valid : (h, w) bool array
        Pixels that count; the others belong to no class.
    xy : (n, 2) array
        Coordinates as (x, y), px.
    diameter_px : float
        Diameter of the particle, px.
    lowpass_px : float
        Standard deviation of the Gaussian that smooths the micrograph, px.
    """
    half = int(np.ceil(BOX_DIAMETERS * diameter_px / 2))
    steps = np.arange(-half, half + 1)
    centers = np.rint(xy).astype(int)
    rows, columns = centers[:, 1, None, None] + steps[:, None], centers[:, 0, None, None] + steps
    height, width = image.shape
    known = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    places = rows.clip(0, height - 1), columns.clip(0, width - 1)
    known &= valid.astype(bool)[places]
    low = scipy.ndimage.gaussian_filter(image.astype(np.float32), lowpass_px)
    distance = np.hypot(rows - xy[:, 1, None, None], columns - xy[:, 0, None, None]) / diameter_px
    nearest = distance_to_others(xy, rows, columns) / diameter_px
    own = (distance < REACH_DIAMETERS) & (distance <= nearest)
    around = (distance >= REACH_DIAMETERS) & (distance < RING_DIAMETERS) & known
    ring = around & (nearest > REACH_DIAMETERS)
    # in a crowd, a box may have no ring without neighbours
    ring = np.where(ring.any((1, 2), keepdims=True), ring, around)
    values = low[places]
    level = (values * ring).sum((1, 2)) / ring.sum((1, 2)).clip(1)
    core = (distance < CORE_DIAMETERS) & own & known
    corners = centers - half
    return Boxes(values - level[:, None, None], core, own & known & ~core, ring, corners)


def distance_to_others(xy: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return the distance (px) of every pixel of n boxes to the nearest coordinate that is not its own.

    Parameters
    ----------
    xy : (n, 2) array
        Coordinates as (x, y), px.
    rows : (n, side, 1) array
        Rows of the pixels of each box.
    columns : (n, 1, side) array
        Columns of the pixels of each box.
    """
    side = rows.shape[1]
    if len(xy) < 2:
        return np.full((len(xy), side, side), np.inf)
    pixels = np.stack(np.broadcast_arrays(columns, rows), axis=-1)
    found, numbers = scipy.spatial.cKDTree(xy).query(pixels.reshape(-1, 2), k=2)
    own = np.repeat(np.arange(len(xy)), side * side)
    return np.where(numbers[:, 0] == own, found[:, 1], found[:, 0]).reshape(len(xy), side, side)


def class_separation(boxes: Boxes) -> float:
    """Return the mean contrast between centre and ring, in standard deviations between particles; 0 if unknown."""
    known = boxes.core.any((1, 2)) & boxes.ring.any((1, 2))
    if known.sum() < 2:
        return 0.0
    core = boxes.core[known]
    contrasts = (boxes.values[known] * core).sum((1, 2)) / core.sum((1, 2))
    return float(abs(contrasts.mean()) / (contrasts.std() + TINY))


def grey_class(values: np.ndarray, weights: np.ndarray) -> GreyClass:
    """Return the weighted mean and standard deviation of grey values; both arrays have one shape."""
    total = weights.sum()
    mean = float((values * weights).sum() / total)
    variance = float((np.square(values - mean) * weights).sum() / total)
    return GreyClass(mean, float(np.sqrt(variance + TINY)))


def estimate_marginals(boxes: Boxes, *, smooth: Smooth, unary_scale: float, rounds: int) -> np.ndarray:
    """Return the probability of particle of every pixel of the boxes, by expectation maximisation.

    Parameters
    ----------
    boxes : Boxes
        Boxes of a micrograph.
    smooth : callable
        E step: marginals from log-odds.
    unary_scale : float
        Factor of the log-odds of the grey values, below 1 since the noise of neighbouring pixels is correlated.
    rounds : int
        Number of E steps.
    """
    background, particle = grey_class(boxes.values, boxes.ring), grey_class(boxes.values, boxes.core)
    prior = 0.0
    known, within = np.where(boxes.core, CERTAIN, -CERTAIN), boxes.free | boxes.core
    marginals = boxes.core.astype(np.float32)
    for _ in range(rounds):
        evidence = unary_scale * (grey_log_odds(boxes.values, particle, background) + prior)
        marginals = smooth(np.where(boxes.free, evidence.clip(-CERTAIN, CERTAIN), known))
        weights = np.where(within, marginals, 0)
        particle = grey_class(boxes.values, weights)
        share = float(weights[within].mean().clip(LEAST_SHARE, 1 - LEAST_SHARE))
        prior = float(np.log(share / (1 - share)))
    return np.where(within, marginals, 0)


def grey_log_odds(values: np.ndarray, particle: GreyClass, background: GreyClass) -> np.ndarray:
    """Return the logarithm of the ratio of the two Gaussian densities at the grey values.

    Parameters
    ----------
    values : array
        Grey values.
    particle : GreyClass
        Mean and standard deviation of the particle class.
    background : GreyClass
        Mean and standard deviation of the background.
    """
    near, far = (np.square((values - c.mean) / c.sd) / 2 + np.log(c.sd) for c in (particle, background))
    return far - near


def mean_area(inside: np.ndarray, boxes: Boxes) -> float:
    """Return the mean number of pixels inside, of boxes whose pixels within reach all count if there are any."""
    within = (boxes.core | boxes.free).sum((1, 2))
    whole = within >= within.max(initial=0)
    return float(inside[whole].sum((1, 2)).mean()) if len(inside) else 0.0


def _outlines(masks: np.ndarray, boxes: Boxes, xy: np.ndarray) -> Iterator[Outline]:
    for mask, corner, center in zip(masks, boxes.corners, xy, strict=True):
        yield Outline(mask, (int(corner[0]), int(corner[1])), (float(center[0]), float(center[1])))
