"""Diameter of an unknown particle, from a network that knows particles at one size.

The network looks at the same micrographs under several assumed diameters. Where the assumption is right, the scores of
its picks are highest, and the next diameters give the same picks.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy

from crisp_core.errors import UserError
from crisp_core.picking.sizes import LEAST_PICKS, estimate_size

# Assumed diameters in Å, each 1.25 times the one before.
DIAMETERS_ANGSTROM = tuple(round(70 * 1.25**i, 1) for i in range(11))
LEAST_CONFIDENCE = 0.35
# Another peak is a rival if its confidence is at least this share of the best one's, and the dip between both is deeper
# than this share of it: the confidence of one particle is uneven too.
RIVAL_SHARE = 0.85
RIVAL_DIP = 0.05
# Neighbours fit as well as the best scale if their confidence is at least this share of its own; so many may.
EQUAL_SHARE = 0.9
MOST_EQUAL = 3
# Accepted size of the outlines, in estimated diameters; docs/sizes.md has measured ones.
SIZE_RATIOS = (0.6, 1.1)
# Widest 95 % interval, as a share of the estimate.
WIDEST_INTERVAL = 0.5
RESAMPLINGS = 200
# Standard error of the place of the peak, as a share of the step between two scales; the intervals then hold the
# longest extents of all validation proteins (docs/sizes.md).
STEP_ERROR = 0.4


class Looks(NamedTuple):
    """Counts of the picks of a network, by assumed diameter (rows) and micrograph (columns).

    Attributes
    ----------
    assumed_angstrom : (n,) array
        Assumed diameters, increasing.
    n_picks, scores : (n, m) arrays
        Number of picks, and the sum of their scores.
    again : (n - 1, m) array
        Number of picks that the next larger diameter finds too.
    """

    assumed_angstrom: np.ndarray
    n_picks: np.ndarray
    scores: np.ndarray
    again: np.ndarray


class DiameterEstimate(NamedTuple):
    """Particle diameter in Å with a 95 % interval, and the table of the scales that it follows from."""

    diameter_angstrom: float
    low_angstrom: float
    high_angstrom: float
    scales: pd.DataFrame


def choose_diameter(looks: Mapping[float, pd.DataFrame]) -> DiameterEstimate:
    """Estimate the diameter at which a network is most confident of its picks.

    Parameters
    ----------
    looks : mapping of float to DataFrame
        Picks by assumed diameter in Å: micrograph, x_angstrom, y_angstrom, score and the columns of
        `sizes.SHAPE_COLUMNS`.

    Raises
    ------
    UserError
        If there are too few picks, two diameters fit equally well, the outlines have another size, or the interval is
        too wide.
    """
    counts = count_looks(looks)
    confidence = confidences(counts)
    scales = scales_table(looks, counts, confidence)
    best = check_peak(counts.assumed_angstrom, confidence)
    diameter = peak_place(counts.assumed_angstrom, confidence)
    check_size(float(scales["size_angstrom"].iloc[best]), diameter)
    low, high = interval(counts, diameter)
    if high - low > WIDEST_INTERVAL * diameter:
        raise unclear(f"it may be anything from {low:.0f} to {high:.0f} Å")
    return DiameterEstimate(diameter, low, high, scales)


def unclear(reason: str) -> UserError:
    """Error for an estimate that is not clear."""
    return UserError(
        f"particle_diameter_angstrom: auto is not clear, {reason}; measure a particle and give its size in Å"
    )


def count_looks(looks: Mapping[float, pd.DataFrame]) -> Looks:
    """Count picks and those that the next scale finds too; parameters as in `choose_diameter`."""
    assumed = sorted(looks)
    micrographs = sorted({name for rows in looks.values() for name in rows["micrograph"]})
    by_name = [dict(list(looks[diameter].groupby("micrograph"))) for diameter in assumed]
    nothing = pd.DataFrame(columns=["x_angstrom", "y_angstrom", "score"], dtype=float)
    grid = [[rows.get(name, nothing) for name in micrographs] for rows in by_name]
    again = [
        [found_again(rows, other, diameter / 2) for rows, other in zip(*pair, strict=True)]
        for diameter, *pair in zip(assumed, grid, grid[1:], strict=False)
    ]
    shape = (len(assumed), len(micrographs))
    return Looks(
        np.array(assumed),
        np.array([[len(rows) for rows in row] for row in grid]).reshape(shape),
        np.array([[rows["score"].sum() for rows in row] for row in grid], dtype=float).reshape(shape),
        np.array(again, dtype=float).reshape(max(0, shape[0] - 1), shape[1]),
    )


def found_again(picks: pd.DataFrame, others: pd.DataFrame, distance_angstrom: float) -> int:
    """Count the picks of one micrograph that have one of others nearby.

    Parameters
    ----------
    picks, others : DataFrame
        Columns x_angstrom, y_angstrom.
    distance_angstrom : float
        Largest distance of the same place, in Å.
    """
    if not len(picks) or not len(others):
        return 0
    first, second = (rows[["x_angstrom", "y_angstrom"]].to_numpy(float) for rows in (picks, others))
    return int((scipy.spatial.cKDTree(second).query(first)[0] <= distance_angstrom).sum())


def confidences(counts: Looks) -> np.ndarray:
    """Confidence (n,) of each scale, 0 to 1: mean score × mean share of picks that both neighbours have too.

    Beyond the first and the last scale nothing is found. A scale with fewer than 20 picks has 0.
    """
    n, scores, again = (values.sum(axis=1) for values in (counts.n_picks, counts.scores, counts.again))
    shared = np.minimum(1, 2 * again / np.maximum(n[:-1] + n[1:], 1))
    stability = (np.append(shared, 0) + np.append(0, shared)) / 2
    return np.where(n >= LEAST_PICKS, scores / np.maximum(n, 1) * stability, 0)


def check_peak(assumed_angstrom: np.ndarray, confidence: np.ndarray) -> int:
    """Index of the most confident scale; refuse one without confidence, a second one of equal height, and a flat peak.

    Parameters
    ----------
    assumed_angstrom : (n,) array
        Assumed diameters, increasing.
    confidence : (n,) array
        Result of `confidences`.
    """
    if len(confidence) < 3 or confidence.max() < LEAST_CONFIDENCE:
        raise unclear("at no scale does the network find enough particles with confidence")
    best = int(confidence.argmax())
    relative = confidence / confidence[best]
    dips = [relative[i] - relative[min(i, best) : max(i, best) + 1].min() for i in range(len(relative))]
    rivals = np.flatnonzero((relative >= RIVAL_SHARE) & (np.array(dips) > RIVAL_DIP))
    if len(rivals):
        rival = rivals[relative[rivals].argmax()]
        raise unclear(f"{assumed_angstrom[best]:.0f} and {assumed_angstrom[rival]:.0f} Å fit equally well")
    runs, _ = scipy.ndimage.label(relative >= EQUAL_SHARE)
    equal = assumed_angstrom[runs == runs[best]]
    if len(equal) > MOST_EQUAL:
        raise unclear(f"all from {equal[0]:.0f} to {equal[-1]:.0f} Å fit equally well")
    return best


def peak_place(assumed_angstrom: np.ndarray, confidence: np.ndarray) -> float:
    """Diameter (Å) at the top of the parabola through the most confident scale and its neighbours.

    Parameters
    ----------
    assumed_angstrom : (n,) array
        Assumed diameters, increasing by a constant factor.
    confidence : (n,) array
        Confidence at each.
    """
    best = int(np.argmax(confidence))
    left, top, right = np.pad(confidence, 1)[best : best + 3]
    curvature = left - 2 * top + right
    shift = 0.5 * (left - right) / curvature if curvature < 0 else 0.0
    step = np.log(assumed_angstrom[-1] / assumed_angstrom[0]) / (len(assumed_angstrom) - 1)
    return float(assumed_angstrom[best] * np.exp(shift * step))


def check_size(size_angstrom: float, diameter_angstrom: float) -> None:
    """Refuse a diameter at which the outlines are much smaller or larger than the particles, or too few (NaN)."""
    if np.isnan(size_angstrom):
        raise unclear(f"fewer than {LEAST_PICKS} particles at {diameter_angstrom:.0f} Å are whole")
    low, high = (ratio * diameter_angstrom for ratio in SIZE_RATIOS)
    if not low <= size_angstrom <= high:
        raise unclear(f"the picks at {diameter_angstrom:.0f} Å are {size_angstrom:.0f} Å wide")


def interval(counts: Looks, diameter_angstrom: float) -> tuple[float, float]:
    """95 % interval (Å): a bootstrap over micrographs, and the error of a peak between steps.

    Parameters
    ----------
    counts : Looks
        Counts of the picks.
    diameter_angstrom : float
        Estimate, in Å.
    """
    rng = np.random.default_rng(0)
    m = counts.n_picks.shape[1]
    peaks = []
    for draw in rng.integers(m, size=(RESAMPLINGS, m)):
        some = Looks(counts.assumed_angstrom, *(values[:, draw] for values in counts[1:]))
        peaks.append(peak_place(counts.assumed_angstrom, confidences(some)))
    step = np.log(counts.assumed_angstrom[1] / counts.assumed_angstrom[0])
    half = 2 * np.hypot(np.std(np.log(peaks)), STEP_ERROR * step)
    return float(diameter_angstrom * np.exp(-half)), float(diameter_angstrom * np.exp(half))


def scales_table(looks: Mapping[float, pd.DataFrame], counts: Looks, confidence: np.ndarray) -> pd.DataFrame:
    """Table of the scales: assumed_angstrom, n_picks, score (mean), confidence, size_angstrom of the outlines.

    Parameters
    ----------
    looks : mapping of float to DataFrame
        As in `choose_diameter`.
    counts : Looks
        Their counts.
    confidence : (n,) array
        Result of `confidences`.
    """
    n = counts.n_picks.sum(axis=1)
    return pd.DataFrame(
        {
            "assumed_angstrom": counts.assumed_angstrom,
            "n_picks": n,
            "score": counts.scores.sum(axis=1) / np.maximum(n, 1),
            "confidence": confidence,
            "size_angstrom": [estimate_size(looks[diameter]).diameter_angstrom for diameter in counts.assumed_angstrom],
        }
    )
