"""Check of coordinates against their micrographs: stated origin, scale and axes."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from crisp_core.datasets.coordinate_scale import (
    ORIENTATIONS,
    Contrasts,
    Fit,
    better_fit,
    better_orientation,
    contrast_map,
    contrasts_by_factor,
    contrasts_by_orientation,
    mean_and_t,
    pooled,
    scale_factors,
    stated_t,
)
from crisp_core.errors import UserError
from crisp_core.formats.arrays import Array
from crisp_core.formats.coordinates.origin import check_origin, origin_contrast
from crisp_core.geometry import Shape, angstrom_to_px, flipped_y, rescaled_xy

# Minimum number of particles for a proof on one micrograph.
PARTICLES_FOR_PROOF = 10
# Minimum contrast as stated, in standard errors, for a proof, and for skipping the other scales.
PROVEN_T, CLEAR_T = 5.0, 8.0
# Minimum contrast of bright particles, in standard deviations of the image.
BRIGHT = 0.05


class _Evidence(NamedTuple):
    """Contrasts of a micrograph's coordinates as stated and upside down; by scale and by orientation, where tried.

    `whole` is that of the whole particle with its surroundings.
    """

    micrograph: str
    stated: np.ndarray
    flipped: np.ndarray
    whole: np.ndarray
    t: float
    by_scale: Contrasts | None
    by_orientation: Contrasts | None
    pixel_size: float
    shape: Shape


class Judged(NamedTuple):
    """Result of `check_against_images`: reasons by refused micrograph, lines for the log, and for the report."""

    wrong: dict[str, str]
    notes: list[str]
    notices: list[str]


class _LocalContrast(NamedTuple):
    """Contrast of a disc at every pixel of a prepared micrograph, its radius, and the shape of the original."""

    contrast: np.ndarray
    radius_px: float
    full_shape: Shape


def check_against_images(
    coordinates: pd.DataFrame,
    images: Iterable[tuple[str, Array]],
    *,
    diameter_angstrom: float,
    source: str,
    origin: str = "top-left",
    scale: float = 1.0,
    required: bool = True,
) -> Judged:
    """Refuse coordinates that fit their micrographs clearly better upside down, turned or at another scale.

    Parameters
    ----------
    coordinates : DataFrame
        Columns micrograph, x, y in full-resolution pixels from the top-left, as the stated origin and scale give them.
    images : iterable of (micrograph, Array)
        Prepared micrographs.
    diameter_angstrom : float
        Particle diameter in Å.
    source : str
        Name of the dataset or files, for messages.
    origin : str
        Stated origin, top-left or bottom-left.
    scale : float
        Stated scale, for messages.
    required : bool
        Whether the coordinates of at least one micrograph must be left.

    Returns
    -------
    Judged
        Reason by micrograph, for each whose own coordinates are wrong while the others are not; one line if the
        coordinates of some micrographs are too few, or have too little contrast, to be judged; and one line if the
        particles are bright.

    Raises
    ------
    UserError
        If another origin, orientation or scale fits all of them together clearly better, and coordinates are required.
    """
    places = {name: rows[["x", "y"]].to_numpy() for name, rows in coordinates.groupby("micrograph")}
    evidence: list[_Evidence] = []
    factors = np.empty(0)
    for name, image in images:
        # the same factors for all micrographs, so that their sums can be added
        factors = factors if evidence else _factors(image, diameter_angstrom)
        xy = places.get(name, np.empty((0, 2)))
        evidence.append(_look(name, image, xy, factors, diameter_angstrom=diameter_angstrom, origin=origin))
    if evidence and required:
        _check_together(evidence, factors, scale=scale, source=source)
    reasons = {one.micrograph: _reason(one, factors, scale=scale) for one in evidence}
    wrong = {name: reason for name, reason in reasons.items() if reason}
    unproven = [one.micrograph for one in evidence if abs(one.t) < PROVEN_T and one.micrograph not in wrong]
    return Judged(wrong, _unproven_note(unproven, len(evidence), source), _bright_notice(evidence, source))


def scale_advice(xy: np.ndarray, image: Array, *, diameter_angstrom: float, origin: str, scale: float) -> str:
    """Text about the factor or orientation at which coordinates fit a micrograph; empty if there is none.

    Parameters
    ----------
    xy : (n, 2) array
        Coordinates as (x, y) in full-resolution pixels, counted from `origin`.
    image : Array
        Prepared micrograph.
    diameter_angstrom : float
        Particle diameter in Å.
    origin : str
        Stated origin, top-left or bottom-left.
    scale : float
        Stated scale.
    """
    upward = origin != "top-left"
    placed = _upside_down(xy, image) if upward else xy
    local = _local_contrast(image, diameter_angstrom)
    turned = _orientations(placed, local)
    if text := _orientation_text(turned, image.full_shape):
        return f"; they{text}"
    factors = _factors(image, diameter_angstrom)
    contrasts = _contrasts(xy, local, factors, origin=origin)
    text = _rescale(contrasts, factors, scale=scale, pixel_size=image.grid.full_pixel_size)
    return f"; they{text}" if text else ""


def _look(
    name: str, image: Array, xy: np.ndarray, factors: np.ndarray, *, diameter_angstrom: float, origin: str
) -> _Evidence:
    upside_down = _upside_down(xy, image)
    local = _local_contrast(image, diameter_angstrom)
    placed, turned = (rescaled_xy(place, image.full_shape, image.data.shape) for place in (xy, upside_down))
    stated, flipped, whole = (
        origin_contrast(image.data, place, radius_px=radii * local.radius_px)
        for place, radii in ((placed, 1), (turned, 1), (placed, 2))
    )
    as_given = xy if origin == "top-left" else upside_down
    t = stated_t(_contrasts(as_given, local, factors[:1], origin=origin), at_least=PARTICLES_FOR_PROOF)
    by_scale = by_orientation = None
    if abs(t) < CLEAR_T:
        by_scale = _contrasts(as_given, local, factors, origin=origin)
        by_orientation = _orientations(xy, local)
    contrasts = (stated, flipped, whole)
    return _Evidence(name, *contrasts, t, by_scale, by_orientation, image.grid.full_pixel_size, image.full_shape)


def _check_together(evidence: Sequence[_Evidence], factors: np.ndarray, *, scale: float, source: str) -> None:
    """Refuse coordinates that all are upside down, turned or rescaled; clearly fitting ones prove the statement."""
    check_origin(*(np.concatenate([one[column] for one in evidence]) for column in (1, 2)), source=source)
    _check_orientation(evidence, source=source)
    by_scale = [one.by_scale for one in evidence if one.by_scale is not None]
    options: dict[str, Any] = {"at_least": PARTICLES_FOR_PROOF, "pixel_size": evidence[0].pixel_size}
    fits = (better_fit(one, factors, **options) for one in by_scale)
    sizes = [fit.factor for fit in fits if fit is not None]
    # files at several scales are refused one by one
    if len(by_scale) == len(evidence) and np.allclose(sizes, sizes[:1] * len(sizes), rtol=0.02):
        text = _rescale(pooled(by_scale), factors, scale=scale, pixel_size=evidence[0].pixel_size)
        if text:
            raise UserError(f"{source}: its coordinates{text}")


def _check_orientation(evidence: Sequence[_Evidence], *, source: str) -> None:
    """Refuse coordinates that all fit in one other orientation; clearly fitting ones prove the statement."""
    tried = [one.by_orientation for one in evidence if one.by_orientation is not None]
    if len(tried) == len(evidence):
        text = _orientation_text(pooled(tried), evidence[0].shape)
        if text:
            raise UserError(f"{source}: its coordinates{text}")


def _orientation_text(contrasts: Contrasts, shape: Shape) -> str:
    """End of the message about coordinates that fit in another orientation; empty if they do not."""
    best = better_orientation(contrasts, at_least=PARTICLES_FOR_PROOF)
    if best is None:
        return ""
    how = ORIENTATIONS[best].format(w=shape[1] - 1, h=shape[0] - 1)
    mean, _ = mean_and_t(contrasts, at_least=PARTICLES_FOR_PROOF)
    return (
        f" fit an image in another orientation, {how}, all from the top-left (contrast {mean[best, 0]:.3f} there, "
        f"{mean[0, 0]:.3f} as stated); convert the coordinates accordingly, or give the picked images"
    )


def _reason(one: _Evidence, factors: np.ndarray, *, scale: float) -> str:
    """Reason to refuse the coordinates of one micrograph; empty if there is none."""
    if one.by_orientation is not None:
        text = _orientation_text(one.by_orientation, one.shape)
        if text:
            return f"the coordinates of {one.micrograph}{text}"
    if one.by_scale is not None:
        text = _rescale(one.by_scale, factors, scale=scale, pixel_size=one.pixel_size)
        if text:
            return f"the coordinates of {one.micrograph}{text}"
    try:
        if len(one.stated) >= PARTICLES_FOR_PROOF:
            check_origin(one.stated, one.flipped, source=one.micrograph)
    except UserError:
        return f"the coordinates of {one.micrograph} fit it upside down; correct their y (y becomes height − 1 − y)"
    return ""


def _factors(image: Array, diameter_angstrom: float) -> np.ndarray:
    diameter_px = angstrom_to_px(diameter_angstrom, image.grid.full_pixel_size)
    return scale_factors(image.full_shape, diameter_px=diameter_px)


def _upside_down(xy: np.ndarray, image: Array) -> np.ndarray:
    """Coordinates counted from the other edge of the original micrograph."""
    return np.column_stack([xy[:, 0], flipped_y(xy[:, 1], image.full_shape[0])])


def _local_contrast(image: Array, diameter_angstrom: float) -> _LocalContrast:
    radius_px = angstrom_to_px(diameter_angstrom, image.pixel_size) / 2
    return _LocalContrast(contrast_map(image.data, radius_px=radius_px), radius_px, image.full_shape)


def _contrasts(xy: np.ndarray, local: _LocalContrast, factors: np.ndarray, *, origin: str) -> Contrasts:
    return contrasts_by_factor(
        local.contrast, xy, factors, full_shape=local.full_shape, radius_px=local.radius_px, origin=origin
    )


def _orientations(xy: np.ndarray, local: _LocalContrast) -> Contrasts:
    return contrasts_by_orientation(local.contrast, xy, full_shape=local.full_shape, radius_px=local.radius_px)


def _rescale(contrasts: Contrasts, factors: np.ndarray, *, scale: float, pixel_size: float) -> str:
    """End of the message about coordinates that fit at another scale; empty if they do not."""
    fit = better_fit(contrasts, factors, at_least=PARTICLES_FOR_PROOF, pixel_size=pixel_size)
    return "" if fit is None else _rescale_text(fit, scale, pixel_size)


def _rescale_text(fit: Fit, scale: float, pixel_size: float) -> str:
    unit = " (so they are in Å)" if np.isclose(fit.factor * pixel_size, 1) and pixel_size != 1 else ""
    stated = f", {fit.stated:.3f} as stated" if fit.stated else ""
    turned, cure = "", f"set scale to {scale * fit.factor:.4g}"
    if fit.flipped:
        turned = " and counted from the other origin"
        cure += " and origin to the other of top-left and bottom-left"
    return (
        f" fit when multiplied by {fit.factor:.4g}{unit}{turned} (contrast {fit.contrast:.3f} there{stated}); "
        f"{cure} if all files are so, or give coordinates in pixels of the micrographs"
    )


def _unproven_note(unproven: Sequence[str], n_images: int, source: str) -> list[str]:
    if not unproven:
        return []
    return [
        f"{source}: origin, axes and scale are not proven on {len(unproven)} of {n_images} micrographs, for instance "
        f"{unproven[0]}, whose coordinates are too few or show too little contrast"
    ]


def _bright_notice(evidence: Sequence[_Evidence], source: str) -> list[str]:
    """Line about particles that are clearly brighter than their surroundings.

    The disc has the size of a particle, since the middle of a hollow one is bright.
    """
    if sum(len(one.whole) for one in evidence) < PARTICLES_FOR_PROOF:
        return []
    whole = np.concatenate([one.whole for one in evidence])
    inner = np.concatenate([one.stated for one in evidence])
    error, inner_error = (np.std(one, ddof=1) / np.sqrt(len(one)) for one in (whole, inner))
    # the middle of a dark particle is dark, also where neighbours touch it
    is_dark = np.mean(inner) < -PROVEN_T * inner_error
    if is_dark or np.mean(whole) < max(BRIGHT, PROVEN_T * error):
        return []
    return [
        f"{source}: at its coordinates the micrographs are brighter than around them; CRISP expects dark particles, so "
        "invert the micrographs, unless the coordinates are no centres (but corners of boxes) or the diameter is wrong"
    ]
