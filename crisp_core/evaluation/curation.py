"""Quality of micrographs: measures of the image, its classes and its picks, and a verdict from thresholds."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy
from scipy import ndimage

from crisp_core.classes import BACKGROUND, CARBON, CLASSES, CONTAMINANT, PARTICLE
from crisp_core.evaluation.settings import CurationSettings
from crisp_core.formats.arrays import Grid

GOOD, DOUBTFUL, BAD = "good", "doubtful", "bad"
# Gaussian filters whose differences are the bands, in particle diameters: the fine band has the particle's outline and
# the noise, the coarse one blotches of a particle's size and more
FINE_BAND_DIAMETERS = (0.06, 0.2)
COARSE_BAND_DIAMETERS = (0.4, 1.6)
GRADIENT_DIAMETERS = 3.0
# band of the power spectrum whose direction is measured, in cycles/px; coarser waves are those of ice and film
DIRECTION_BAND = (0.1, 0.4)
# an image with a smaller usable share has no measures
USABLE_SHARE_MIN = 0.1
MEASURES = (
    *("particle_share", "contaminant_share", "carbon_share", "empty_share", "ice_gradient", "mottle", "direction"),
    *("n_picks", "picks_per_um2", "picked_share", "median_score", "aggregation"),
)


def class_shares(label: np.ndarray, valid: np.ndarray, classes: Sequence[str]) -> dict[str, float]:
    """Shares of the valid area by class; NaN for a class that the network does not have.

    Parameters
    ----------
    label : (h, w) integer array
        Predicted class of each pixel, by its number in the registry.
    valid : (h, w) bool array
        Valid area.
    classes : sequence of str
        Names of the network's classes.
    """
    inside = np.asarray(label)[np.asarray(valid, dtype=bool)]
    numbers = {"particle": PARTICLE, "contaminant": CONTAMINANT, "carbon": CARBON, "empty": BACKGROUND}
    return {
        f"{name}_share": float(np.mean(inside == number)) if CLASSES[number] in classes and inside.size else np.nan
        for name, number in numbers.items()
    }


def image_measures(image: np.ndarray, usable: np.ndarray, *, diameter_px: float) -> dict[str, float]:
    """Ice gradient, mottle and direction of an image; NaN where too little of it is usable.

    Parameters
    ----------
    image : (h, w) array
        Prepared micrograph, in any unit.
    usable : (h, w) bool array
        Area that is valid and no carbon.
    diameter_px : float
        Particle diameter in px of the image.

    Returns
    -------
    dict
        ``ice_gradient``: standard deviation after a low pass of three diameters, relative to the fine band's;
        ``mottle``: standard deviation of the coarse band relative to the fine band's, large in crystalline ice;
        ``direction``: second angular moment of the power spectrum (0 to 1), large with drift and astigmatic blur.
    """
    usable = np.asarray(usable, dtype=bool)
    if usable.mean() < USABLE_SHARE_MIN:
        return dict.fromkeys(("ice_gradient", "mottle", "direction"), np.nan)
    widths = (*FINE_BAND_DIAMETERS, *COARSE_BAND_DIAMETERS, GRADIENT_DIAMETERS)
    finest, fine, coarse, coarsest, slow = (lowpass(image, usable, width * diameter_px) for width in widths)
    detail = max(float((finest - fine)[usable].std()), 1e-6)
    return {
        "ice_gradient": float(slow[usable].std()) / detail,
        "mottle": float((coarse - coarsest)[usable].std()) / detail,
        "direction": power_direction(np.where(usable, image - coarse, 0.0)),
    }


def lowpass(image: np.ndarray, usable: np.ndarray, sigma_px: float) -> np.ndarray:
    """Gaussian low pass of an image (h, w) over its usable area alone (normalized convolution).

    Parameters
    ----------
    image : (h, w) array
        Image.
    usable : (h, w) bool array
        Area that counts.
    sigma_px : float
        Standard deviation of the Gaussian, in px.
    """
    weight = ndimage.gaussian_filter(usable.astype(np.float32), sigma_px)
    values = np.where(usable, image, 0).astype(np.float32)
    return ndimage.gaussian_filter(values, sigma_px) / np.maximum(weight, 1e-3)


def power_direction(image: np.ndarray) -> float:
    """Magnitude (0 to 1) of the second angular moment of an image's power, after division by its mean per frequency.

    It is 0 for isotropic power and 1 for waves of one direction.
    """
    window = np.hanning(image.shape[0])[:, None] * np.hanning(image.shape[1])
    power = np.abs(np.fft.rfft2((image - image.mean()) * window)) ** 2
    rows, columns = np.fft.fftfreq(image.shape[0])[:, None], np.fft.rfftfreq(image.shape[1])
    radius, angle = np.hypot(rows, columns), np.arctan2(rows, columns)
    # the column of frequency 0 has both halves of its waves, all others one
    band = (radius >= DIRECTION_BAND[0]) & (radius < DIRECTION_BAND[1]) & (columns > 0)
    rings = (radius[band] * min(image.shape)).astype(int)
    mean = np.bincount(rings, power[band]) / np.maximum(np.bincount(rings), 1)
    relative = power[band] / np.maximum(mean[rings], 1e-30)
    return float(abs(np.mean(relative * np.exp(2j * angle[band]))))


def pick_measures(picks: pd.DataFrame, *, area_px: float, diameter_px: float, pixel_size: float) -> dict[str, float]:
    """Number, density, median score and aggregation of a micrograph's picks.

    Parameters
    ----------
    picks : DataFrame
        Columns x, y (px) and score.
    area_px : float
        Valid area of the micrograph, in px².
    diameter_px : float
        Particle diameter in px of the micrograph.
    pixel_size : float
        Å/px of the micrograph.

    Returns
    -------
    dict
        ``picked_share`` is the area of the picks' discs relative to the valid area, ``aggregation`` the share of picks
        that are nearer than a diameter to another pick.
    """
    n, area_um2 = len(picks), area_px * (pixel_size * 1e-4) ** 2
    near = 0.0
    if n > 1:
        xy = picks[["x", "y"]].to_numpy(float)
        near = float(np.mean(scipy.spatial.KDTree(xy).query(xy, k=2)[0][:, 1] < diameter_px))
    return {
        "n_picks": n,
        "picks_per_um2": n / area_um2 if area_px else np.nan,
        "picked_share": n * np.pi * (diameter_px / 2) ** 2 / area_px if area_px else np.nan,
        "median_score": float(picks["score"].median()) if n else np.nan,
        "aggregation": near,
    }


def measure_micrograph(
    image: np.ndarray,
    valid: np.ndarray,
    label: np.ndarray,
    picks: pd.DataFrame,
    *,
    classes: Sequence[str],
    grid: Grid,
    diameter_angstrom: float,
) -> dict[str, float]:
    """All measures of a micrograph.

    Parameters
    ----------
    image, valid, label : (h, w) arrays
        Prepared micrograph, its valid area, and the predicted class of each pixel by its number in the registry.
    picks : DataFrame
        Columns x, y (px of the full micrograph) and score.
    classes : sequence of str
        Names of the network's classes.
    grid : Grid
        Shape and pixel size of the prepared micrograph, and the full shape.
    diameter_angstrom : float
        Particle diameter in Å.
    """
    valid = np.asarray(valid, dtype=bool)
    scale = np.prod(grid.full_shape) / np.prod(grid.shape)
    pixel_size = grid.pixel_size / np.sqrt(scale)
    usable = valid & (label != CARBON)
    return {
        **class_shares(label, valid, classes),
        **image_measures(image, usable, diameter_px=diameter_angstrom / grid.pixel_size),
        **pick_measures(
            picks,
            area_px=float(valid.sum() * scale),
            diameter_px=diameter_angstrom / pixel_size,
            pixel_size=pixel_size,
        ),
    }


class Rule(NamedTuple):
    """Rule of the verdict: a measure, its direction, and its words."""

    measure: str
    setting: str
    too_low: bool
    words: str


RULES = (
    Rule("picked_share", "picked_share_min", True, "few particles: picks cover {value:.2%} of the area"),
    Rule("contaminant_share", "contaminant_share_max", False, "contaminants cover {value:.0%} of the area"),
    Rule("carbon_share", "carbon_share_max", False, "carbon or film covers {value:.0%} of the area"),
    Rule("mottle", "mottle_max", False, "blotches as of crystalline or dirty ice: coarse / fine contrast {value:.2f}"),
    Rule("ice_gradient", "ice_gradient_max", False, "uneven ice: slow / fine contrast {value:.2f}"),
    Rule("direction", "direction_max", False, "drift or directed blur: direction of the power {value:.2f}"),
    Rule("aggregation", "aggregation_max", False, "{value:.0%} of the picks touch another pick"),
    Rule("median_score", "median_score_min", True, "weak picks: median score {value:.2f}"),
)


def judge(measures: Mapping[str, float], settings: CurationSettings) -> tuple[str, str]:
    """Verdict on a micrograph, and its reason in words; a measure that is NaN gives none.

    Parameters
    ----------
    measures : mapping of str to float
        Measures by name, as in curation.tsv.
    settings : CurationSettings
        Thresholds: pairs of a doubtful and a bad value; None turns a rule off.

    Returns
    -------
    (str, str)
        ``good``, ``doubtful`` or ``bad``, and the reasons, those for bad first.
    """
    reasons: dict[str, list[str]] = {BAD: [], DOUBTFUL: []}
    for rule in RULES:
        value, bounds = measures.get(rule.measure, np.nan), getattr(settings, rule.setting)
        if bounds is None or pd.isna(value):
            continue
        doubtful, bad = (value < bound if rule.too_low else value > bound for bound in bounds)
        if doubtful or bad:
            reasons[BAD if bad else DOUBTFUL].append(rule.words.format(value=value))
    verdict = next((name for name, found in reasons.items() if found), GOOD)
    return verdict, "; ".join(reasons[BAD] + reasons[DOUBTFUL])


def add_verdicts(table: pd.DataFrame, settings: CurationSettings) -> pd.DataFrame:
    """Add the columns verdict and reason, after the first, to a table of measures with one row per micrograph."""
    verdicts = [judge(row, settings) for row in table.to_dict("records")]
    judged = table.assign(verdict=[verdict for verdict, _ in verdicts], reason=[reason for _, reason in verdicts])
    first, *others = table.columns
    return judged[[first, "verdict", "reason", *others]]
