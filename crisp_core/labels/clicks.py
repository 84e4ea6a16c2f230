"""Outlines of particles from their coordinates alone.

Each particle has a box of the low-passed micrograph. Its pixels belong to one of two Gaussian classes of grey values,
particle and background, which are estimated by expectation maximisation: the E step is a conditional random field
(`smooth`), the M step is the mean and the variance of the particle class and its share of the pixels. The centre of a
box is certainly particle; pixels far from the coordinate, or nearer to another one, are certainly background.

The centre of a hollow particle (a capsid, a cage) has hardly any contrast. Its wall then shows what a particle looks
like, and holes of the outlines are filled.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
import scipy.ndimage

from crisp_core.labels.click_boxes import (
    LEAST_SEPARATION,
    REACH_DIAMETERS,
    TINY,
    Boxes,
    class_seed,
    cut_boxes,
)
from crisp_core.labels.click_choice import candidates, choose_best, first_settings, simulate_like, window_to_try
from crisp_core.labels.outlines import Outline, disc_outlines, merge_outlines
from crisp_core.labels.settings import ClickSettings

# Log-odds of pixels whose class is certain.
CERTAIN = 30.0
# Guard: share of the area within reach.
# a sphere of the given diameter fills .83
AREA_SHARES = (0.1, 0.95)
# Smallest share of the pixels within reach, compared with the box that has most, for a box without neighbours.
WHOLE_SHARE = 0.97
# Smallest share of a class, so that its logarithm is finite.
LEAST_SHARE = 1e-3

Smooth = Callable[..., np.ndarray]


class GreyClass(NamedTuple):
    """Gaussian class of grey values."""

    mean: float
    sd: float


class ClickLabel(NamedTuple):
    """Label of a micrograph, and what was estimated on the way."""

    instances: np.ndarray
    """(h, w) int32: 0 background, otherwise number of the coordinate, from 1."""
    separation: float
    """Mean contrast between centre (or wall of a hollow particle) and ring, in sd between particles."""
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
    near = xy - [columns.start, rows.start]
    near = near[((near >= 0) & (near < image[window].shape[::-1])).all(axis=1)]
    if not len(near) or not valid[window].any():
        # nothing to choose by
        return first
    simulated = simulate_like(image[window], valid[window], first.instances[window], diameter_px=diameter_px)

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
    seed, separation = class_seed(boxes)
    discs = partial(disc_click_label, image.shape, xy, disc_radius_px, separation)
    if separation < LEAST_SEPARATION:
        return discs(
            f"the contrast of centres or walls is {separation:.2f} of its standard deviation, below {LEAST_SEPARATION}"
        )
    estimate = partial(estimate_marginals, boxes, seed, smooth=partial(smooth, weight=weight))
    marginals = estimate(unary_scale=settings.unary_scale, rounds=settings.rounds)
    inside = marginals > 0.5
    if seed is not boxes.core:
        inside = np.stack([scipy.ndimage.binary_fill_holes(one) for one in inside])
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


def grey_class(values: np.ndarray, weights: np.ndarray) -> GreyClass:
    """Return the weighted mean and standard deviation of grey values; both arrays have one shape."""
    total = weights.sum()
    mean = float((values * weights).sum() / total)
    variance = float((np.square(values - mean) * weights).sum() / total)
    return GreyClass(mean, float(np.sqrt(variance + TINY)))


def estimate_marginals(
    boxes: Boxes, seed: np.ndarray, *, smooth: Smooth, unary_scale: float, rounds: int
) -> np.ndarray:
    """Return the probability of particle of every pixel of the boxes, by expectation maximisation.

    Parameters
    ----------
    boxes : Boxes
        Boxes of a micrograph.
    seed : (n, side, side) bool array
        Pixels from which the particle class starts.
    smooth : callable
        E step: marginals from log-odds.
    unary_scale : float
        Factor of the log-odds of the grey values, below 1 since the noise of neighbouring pixels is correlated.
    rounds : int
        Number of E steps.
    """
    background, particle = grey_class(boxes.values, boxes.ring), grey_class(boxes.values, seed)
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
    """Return the mean number of pixels inside, of the boxes whose pixels within reach all count."""
    within = (boxes.core | boxes.free).sum((1, 2))
    # the number of pixels of a disc depends on the fractions of its centre
    whole = within >= WHOLE_SHARE * within.max(initial=0)
    return float(inside[whole].sum((1, 2)).mean()) if len(inside) else 0.0


def _outlines(masks: np.ndarray, boxes: Boxes, xy: np.ndarray) -> Iterator[Outline]:
    for mask, corner, center in zip(masks, boxes.corners, xy, strict=True):
        yield Outline(mask, (int(corner[0]), int(corner[1])), (float(center[0]), float(center[1])))
