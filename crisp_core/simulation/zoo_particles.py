"""Particles of a zoo on a canvas: projections, their outlines, and their contrast."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import scipy.ndimage
import skimage.filters

from crisp_core.ctf import through_ctf
from crisp_core.geometry import Shape
from crisp_core.simulation.centers import draw_rotations
from crisp_core.simulation.projections import place_projections, project
from crisp_core.simulation.zoo import ParticleKind, ZooDraw
from crisp_core.simulation.zoo_places import draw_orientations, draw_places, free_area, gathering_weight

# Centres keep so many diameters from contaminants, and from what is broken or denatured.
KEEP_DIAMETERS = 0.5
# Projections from which the contrast of a kind of particle is measured.
CONTRAST_VIEWS = 24


class Placed(NamedTuple):
    """Projections on a canvas, their outlines, and their positions on the micrograph."""

    density: np.ndarray
    outline: np.ndarray  # bool, on the canvas
    xy: np.ndarray
    euler_deg: np.ndarray


def place_particles(
    draw: ZooDraw,
    blocked: np.ndarray,
    canvas: Shape,
    *,
    offset_px: int,
    diameter_px: float,
    rng: np.random.Generator,
) -> Placed:
    """Place the true particles, also those whose centres are beyond the edge.

    Parameters
    ----------
    draw : ZooDraw
    blocked : (h, w) bool array
        Where no particle may touch.
    canvas : (int, int)
        Shape of the results.
    offset_px : int
        Pixel of the canvas on which the micrograph's first one is.
    diameter_px : float
        Nominal.
    rng : numpy Generator
    """
    margin = int(np.ceil(diameter_px / 2))
    free = free_area(blocked, keep_px=KEEP_DIAMETERS * diameter_px, margin_px=margin)
    n = round(draw.coverage * int(free.sum()) / (np.pi * diameter_px**2 / 4))
    weight = gathering_weight(free.shape, length_px=1.5 * diameter_px, rng=rng) if draw.uneven else None
    xy = draw_places(free, n, min_distance_px=draw.distance_diameters * diameter_px, weight=weight, rng=rng) - margin
    kinds = rng.choice(len(draw.kinds), size=len(xy), p=draw.shares)
    parts = [
        placed(kind, xy[kinds == i], draw.preferred_deg, canvas, offset_px=offset_px, strength=draw.strength, rng=rng)
        for i, kind in enumerate(draw.kinds)
    ]
    return merged(parts)


def placed(
    kind: ParticleKind,
    xy: np.ndarray,
    preferred_deg: float | None,
    canvas: Shape,
    *,
    offset_px: int,
    strength: Sequence[float],
    rng: np.random.Generator,
) -> Placed:
    """Project one kind of particle to positions (n, 2), each with its own contrast, and outline every projection.

    Parameters
    ----------
    kind : ParticleKind
        Density of the particle at the micrograph's pixel size.
    xy : (n, 2) array
        Centres of the particles on the micrograph, in px.
    preferred_deg : float or None
        Spread of the orientations around a preferred one, in degrees; None for any orientation.
    canvas : (int, int)
        Height and width of the results, in px.
    offset_px : int
        Row and column of the canvas at the first pixel of the micrograph.
    strength : (float, float)
        Bounds of the contrast of a particle, relative to that of its kind.
    rng : numpy Generator
        Source of random numbers.
    """
    euler_deg = draw_orientations(len(xy), preferred_deg, rng)
    views = project(kind.density, euler_deg)
    strengths = rng.uniform(strength[0], strength[1], len(xy)).astype(np.float32)
    density = place_projections(canvas, views * strengths[:, None, None], xy + offset_px)
    return Placed(density, paste_outlines(canvas, outlines(views), xy + offset_px), xy, euler_deg)


def merged(parts: list[Placed]) -> Placed:
    """Join projections, outlines and positions on one canvas."""
    return Placed(
        np.sum([part.density for part in parts], axis=0),
        np.any([part.outline for part in parts], axis=0),
        np.concatenate([part.xy for part in parts]),
        np.concatenate([part.euler_deg for part in parts]),
    )


def outlines(views: np.ndarray) -> np.ndarray:
    """Outline projections (k, n, n): above Li's threshold of all of them, holes filled, so that shells are discs."""
    if not len(views):
        return np.zeros(views.shape, dtype=bool)
    above = views > skimage.filters.threshold_li(views, tolerance=1e-3 * float(views.std()))
    return np.stack([scipy.ndimage.binary_fill_holes(view) for view in above])


def paste_outlines(canvas: Shape, masks: np.ndarray, xy: np.ndarray) -> np.ndarray:
    """Union (h, w) bool of masks (k, n, n) whose pixels n // 2 are put on the pixels nearest to positions (k, 2).

    Parameters
    ----------
    canvas : (int, int)
        Height and width of the result, in px.
    masks : (k, n, n) bool array
        Outlines of the particles.
    xy : (k, 2) array
        Centres of the particles on the canvas, in px.
    """
    union = np.zeros(canvas, dtype=bool)
    n = masks.shape[-1]
    for (x, y), mask in zip(np.floor(xy + 0.5).astype(int) - n // 2, masks, strict=True):
        y0, y1 = np.clip([y, y + n], 0, canvas[0])
        x0, x1 = np.clip([x, x + n], 0, canvas[1])
        union[y0:y1, x0:x1] |= mask[y0 - y : y1 - y, x0 - x : x1 - x]
    return union


def contrast(kind: ParticleKind, lens: Mapping[str, float], rng: np.random.Generator) -> float:
    """Mean square contrast of a kind of particle through the lens, over the disc of its extent.

    Parameters
    ----------
    kind : ParticleKind
        Density of the particle, and its extent in px.
    lens : mapping of floats
        Contrast transfer, as options of `ctf.ctf`.
    rng : numpy Generator
        Source of the random orientations.
    """
    views = project(kind.density, draw_rotations(CONTRAST_VIEWS, rng))
    n = views.shape[-1]
    around = np.pad(views, ((0, 0), (n // 2, n // 2), (n // 2, n // 2)))
    y, x = np.ogrid[-n:n, -n:n]
    disc = x**2 + y**2 <= (kind.extent_px / 2) ** 2
    return float(np.mean([np.mean(through_ctf(view, **lens)[disc] ** 2) for view in around]))
