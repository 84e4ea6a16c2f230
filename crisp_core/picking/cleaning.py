"""Cleaning of picks by size, shape and score, and their distance to junk.

The size of a pick is the diameter of the circle with the area of its outline. An outline that the edge of the
micrograph cuts has no known size and shape: it is neither small, nor elongated, nor irregular.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd

from crisp_core.classes import AVOIDED
from crisp_core.formats.arrays import Grid
from crisp_core.formats.relion_labels import JUNK_DISTANCE_LABEL, SCORE_LABEL
from crisp_core.picking.removal import Sorted, distance_to_class
from crisp_core.picking.settings import Rank, RemovalSettings
from crisp_core.picking.sizes import AT_EDGE, DIAMETER, LONG_AXIS, SHORT_AXIS, SOLIDITY


class Rule(NamedTuple):
    """Rule of cleaning: the reason in words, the picks that break it, and whether it needs a whole outline."""

    reason: str
    broken: Callable[[pd.DataFrame, RemovalSettings], pd.Series]
    whole: bool


def axis_ratios(picks: pd.DataFrame) -> pd.Series:
    """Long axis divided by short axis of each outline; NaN without an outline."""
    return picks[LONG_AXIS] / picks[SHORT_AXIS].where(picks[SHORT_AXIS] > 0)


def _below(values: pd.Series, bound: float | None) -> pd.Series:
    return values < (-np.inf if bound is None else bound)


def _above(values: pd.Series, bound: float | None) -> pd.Series:
    return values > (np.inf if bound is None else bound)


# The first rule that a pick breaks is its reason.
RULES = (
    Rule("small", lambda picks, given: _below(picks[DIAMETER], given.size_bounds[0]), whole=True),
    Rule("large", lambda picks, given: _above(picks[DIAMETER], given.size_bounds[1]), whole=False),
    Rule("elongated", lambda picks, given: _above(axis_ratios(picks), given.axis_ratio_max), whole=True),
    Rule("irregular", lambda picks, given: _below(picks[SOLIDITY], given.solidity_min), whole=True),
    Rule("low score", lambda picks, given: _below(picks["score"], given.score_min), whole=False),
)


def clean_picks(found: Sorted, removal: RemovalSettings) -> Sorted:
    """Move picks that break a rule of cleaning from the kept to the dropped ones, with the reason.

    Parameters
    ----------
    found : Sorted
        Kept and dropped picks; columns score and those of `sizes.SHAPE_COLUMNS`, which are NaN for candidates that
        were not measured. Those are kept.
    removal : RemovalSettings
        Section `removal` of an experiment.
    """
    picks = found.kept
    measured, cut = picks[DIAMETER].notna(), picks[AT_EDGE] == 1
    broken = [rule.broken(picks, removal) & measured & ~(cut & rule.whole) for rule in RULES]
    reason = pd.Series(np.select(broken, [rule.reason for rule in RULES], default=""), index=picks.index, dtype=object)
    gone = reason != ""
    dropped = picks[gone].assign(reason=reason[gone])
    tables = [table for table in (found.dropped, dropped) if len(table)] or [found.dropped]
    return Sorted(picks[~gone].reset_index(drop=True), pd.concat(tables, ignore_index=True))


def with_reasons(dropped: pd.DataFrame) -> pd.DataFrame:
    """Dropped picks as a star file has them: the reason as crispReason, with _ in place of blanks.

    Parameters
    ----------
    dropped : DataFrame
        Columns micrograph, x, y, score, reason, stage, and sizes and shapes where they are known.
    """
    picks = dropped.drop(columns=["reason", "stage"])
    return picks.assign(crispReason=dropped["reason"].astype(str).str.replace(" ", "_"))


def with_junk_distance(found: pd.DataFrame, label: np.ndarray | None, grid: Grid) -> pd.DataFrame:
    """Add the distance of each centre to the nearest contaminant or carbon, in Å; without classes, no column.

    Where the micrograph has no such pixel, the distance is the diagonal of the micrograph.

    Parameters
    ----------
    found : DataFrame
        Centres: columns x, y in px of the map, and any others.
    label : (h, w) integer array, optional
        Predicted class of each pixel, where the network has more than particle and background.
    grid : Grid
        Shape and pixel size of the map.
    """
    if label is None:
        return found
    xy, diagonal_px = found[["x", "y"]].to_numpy(float), float(np.hypot(*grid.shape))
    distances = [distance_to_class(xy, label, each.number, full_shape=grid.shape) for each in AVOIDED]
    nearest = np.minimum(np.min(distances, axis=0), diagonal_px)
    return found.assign(**{JUNK_DISTANCE_LABEL: nearest * grid.pixel_size})


# Quantities by which particles.star can be ranked, the highest first.
RANKS: dict[str, Callable[[pd.DataFrame], pd.Series]] = {
    "score": lambda rows: rows[SCORE_LABEL],
    "size": lambda rows: rows[DIAMETER],
    "solidity": lambda rows: rows[SOLIDITY],
    "roundness": lambda rows: 1 / axis_ratios(rows),
    "junk_distance": lambda rows: rows[JUNK_DISTANCE_LABEL],
}


def rank_particles(particles: pd.DataFrame, rank: Rank | None) -> pd.DataFrame:
    """Particles from the highest to the lowest value of a quantity; equal ones, and those without, in their order.

    Parameters
    ----------
    particles : DataFrame
        Block data_particles of a star file.
    rank : str, optional
        One of `RANKS`; None leaves the order.
    """
    if rank is None or particles.empty:
        return particles
    order = (-RANKS[rank](particles)).argsort(kind="stable")
    return particles.iloc[order.to_numpy()].reset_index(drop=True)
