"""Diameter of an unknown particle, from a network that knows particles at one size.

The network looks at the same micrographs at several scales. At the right scale its outlines are as wide as the
particles of its training, its picks have the highest scores, and the next scales find the same particles.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from crisp_core.errors import UserError
from crisp_core.picking.sizes import LEAST_PICKS, estimate_size

# Assumed diameters in Å, each 1.25 times the one before.
DIAMETERS_ANGSTROM = tuple(round(70 * 1.25**i, 1) for i in range(11))
# Estimated size of the picks in diameters, where the assumed diameter is right.
REFERENCE_RATIO = 1.0
# Deviation of the logarithm of that ratio at which a scale counts half as much.
RATIO_TOLERANCE = 0.3
# A second scale is a rival if its merit is at least this share of the best, and its size differs by this factor.
RIVAL_SHARE, RIVAL_FACTOR = 0.85, 1.3
LEAST_MERIT = 0.2
# Widest 95 % interval, as a share of the estimate.
WIDEST_INTERVAL = 0.4


class DiameterEstimate(NamedTuple):
    """Particle diameter in Å with a 95 % interval, and the table of the scales that it follows from."""

    diameter_angstrom: float
    low_angstrom: float
    high_angstrom: float
    scales: pd.DataFrame


def choose_diameter(looks: Mapping[float, pd.DataFrame]) -> DiameterEstimate:
    """Choose the scale at which sizes, scores and places of the picks agree best, and estimate the diameter there.

    Parameters
    ----------
    looks : mapping of float to DataFrame
        Picks by assumed diameter in Å: micrograph, x_angstrom, y_angstrom, score and the columns of
        `sizes.SHAPE_COLUMNS`.

    Raises
    ------
    UserError
        If there are too few picks, two sizes fit equally well, or the interval is too wide.
    """
    scales = describe_scales(looks)
    if scales.empty or scales["merit"].max() < LEAST_MERIT:
        raise unclear("no scale shows enough particles of its own size")
    best = scales.loc[scales["merit"].idxmax()]
    factor = np.exp(np.abs(np.log(scales["size_angstrom"] / best["size_angstrom"])))
    rivals = scales[(scales["merit"] >= RIVAL_SHARE * best["merit"]) & (factor > RIVAL_FACTOR)]
    if len(rivals):
        other = rivals["size_angstrom"].iloc[0]
        raise unclear(f"{best['size_angstrom']:.0f} and {other:.0f} Å fit equally well")
    near = scales[factor <= RIVAL_FACTOR]
    diameter, low, high = agreed_size(near)
    if high - low > WIDEST_INTERVAL * diameter:
        raise unclear(f"it may be anything from {low:.0f} to {high:.0f} Å")
    return DiameterEstimate(diameter, low, high, scales)


def unclear(reason: str) -> UserError:
    """Error for an estimate that is not clear."""
    return UserError(
        f"particle_diameter_angstrom: auto is not clear, {reason}; measure a particle and give its size in Å"
    )


def describe_scales(looks: Mapping[float, pd.DataFrame]) -> pd.DataFrame:
    """Table of the scales with enough picks.

    Parameters
    ----------
    looks : mapping of float to DataFrame
        As in `choose_diameter`.

    Returns
    -------
    DataFrame
        assumed_angstrom, n_picks, score (median), stability (share of picks that the next scales find too),
        size_angstrom with its interval low_angstrom to high_angstrom, and merit, between 0 and 1.
    """
    assumed = sorted(looks)
    rows = []
    for i, diameter in enumerate(assumed):
        picks, estimate = looks[diameter], estimate_size(looks[diameter])
        if estimate.n_picks < LEAST_PICKS:
            continue
        next_ones = [looks[assumed[j]] for j in (i - 1, i + 1) if 0 <= j < len(assumed)]
        stability = float(np.mean([found_again(picks, other, diameter / 2) for other in next_ones] or [1.0]))
        size, low, high = (value / REFERENCE_RATIO for value in estimate[:3])
        fit = np.exp2(-((np.log(size / diameter) / RATIO_TOLERANCE) ** 2))
        score = float(picks["score"].median())
        rows.append((diameter, estimate.n_picks, score, stability, size, low, high, fit * score * stability))
    columns = ["assumed_angstrom", "n_picks", "score", "stability", "size_angstrom", "low_angstrom", "high_angstrom"]
    return pd.DataFrame(rows, columns=[*columns, "merit"])


def found_again(picks: pd.DataFrame, others: pd.DataFrame, distance_angstrom: float) -> float:
    """Dice coefficient of two sets of picks: picks of the same place, as a share of all picks.

    Parameters
    ----------
    picks, others : DataFrame
        Columns micrograph, x_angstrom, y_angstrom.
    distance_angstrom : float
        Largest distance of the same place, in Å.
    """
    if not len(picks) or not len(others):
        return 0.0
    places = {name: _places(rows) for name, rows in others.groupby("micrograph")}
    again = 0
    for name, rows in picks.groupby("micrograph"):
        if name in places:
            again += int((cKDTree(places[name]).query(_places(rows))[0] <= distance_angstrom).sum())
    return min(1.0, 2 * again / (len(picks) + len(others)))


def _places(rows: pd.DataFrame) -> np.ndarray:
    return rows[["x_angstrom", "y_angstrom"]].to_numpy(float)


def agreed_size(scales: pd.DataFrame) -> tuple[float, float, float]:
    """Mean size of several scales, weighted by merit, with an interval for the picks and for the choice of the scale.

    Parameters
    ----------
    scales : DataFrame
        Rows of `describe_scales`.
    """
    weights = scales["merit"] ** 2
    logs = np.log(scales["size_angstrom"])
    middle = float(np.average(logs, weights=weights))
    spread = float(np.sqrt(np.average((logs - middle) ** 2, weights=weights)))
    widths = np.log(scales["high_angstrom"] / scales["low_angstrom"]) / 2
    half = float(np.hypot(np.average(widths, weights=weights), 2 * spread))
    return float(np.exp(middle)), float(np.exp(middle - half)), float(np.exp(middle + half))
