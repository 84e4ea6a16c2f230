"""Distribution of the sizes and shapes of picks, and the particle diameter, box and mask that follow from it."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from crisp_core.formats.relion_labels import SHAPE_LABELS
from crisp_core.formats.tables import read_table
from crisp_core.geometry import box_size_px
from crisp_core.particles.boxes import DIAMETERS_PER_BOX

SHAPE_COLUMNS = SHAPE_LABELS
DIAMETER, LONG_AXIS, SHORT_AXIS, ANGLE, SOLIDITY, MEAN_PROBABILITY, AT_EDGE = SHAPE_COLUMNS

# Quantities of the table, with their names there.
QUANTITIES = {
    DIAMETER: "diameter, Å",
    LONG_AXIS: "long axis, Å",
    SHORT_AXIS: "short axis, Å",
    SOLIDITY: "solidity",
    MEAN_PROBABILITY: "mean probability",
}
AXIS_RATIO = "axis ratio"
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
# The longest extent of a particle shows in those views that have it in the plane of the image.
EXTENT_QUANTILE = 0.75
# Longest extent divided by this quantile of the outlines, which miss thin and faint ends: the median of six simulated
# proteins with the general network (benchmarks/sizes.py; docs/sizes.md has others).
EXTENTS_PER_OUTLINE = 1.16
# Diameter of a mask in particle diameters: room for the errors of the centres.
DIAMETERS_PER_MASK = 1.1
LEAST_PICKS = 20
RESAMPLINGS = 200


class SizeEstimate(NamedTuple):
    """Longest extent of the outlines in Å with a 95 % interval, NaN where there are too few picks; its basis."""

    diameter_angstrom: float
    low_angstrom: float
    high_angstrom: float
    n_picks: int
    n_micrographs: int


def without_missing(picks: pd.DataFrame) -> pd.DataFrame:
    """Picks with all columns of `SHAPE_COLUMNS`, also where there is no pick at all and the file lacks them."""
    return picks.reindex(columns=list(dict.fromkeys([*picks.columns, *SHAPE_COLUMNS])))


def whole_picks(picks: pd.DataFrame) -> pd.DataFrame:
    """Picks with an outline that no edge cuts."""
    return picks[(picks[DIAMETER] > 0) & (picks[AT_EDGE] == 0)]


def estimate_size(picks: pd.DataFrame, *, seed: int = 0) -> SizeEstimate:
    """Estimate the longest extent of the outlines from the long axes of the picks; the particle is somewhat longer.

    It is the upper quartile of the long axes of the more convex half of the outlines, since particles that have merged
    are less convex; the interval is a bootstrap over micrographs, or over picks where there
    are fewer than three micrographs.

    Parameters
    ----------
    picks : DataFrame
        Columns micrograph and those of `SHAPE_COLUMNS`.
    seed : int
        Seed of the bootstrap.
    """
    whole = whole_picks(picks)
    convex = whole[whole[SOLIDITY] >= whole[SOLIDITY].median()]
    groups = [rows.to_numpy(float) for _, rows in convex.groupby("micrograph")[LONG_AXIS]]
    if len(whole) < LEAST_PICKS:
        return SizeEstimate(np.nan, np.nan, np.nan, len(whole), len(groups))
    middle = float(np.quantile(convex[LONG_AXIS], EXTENT_QUANTILE))
    resampled = [np.quantile(values, EXTENT_QUANTILE) for values in resample(groups, seed=seed)]
    low, high = (float(value) for value in np.quantile(resampled, (0.025, 0.975)))
    return SizeEstimate(middle, low, high, len(whole), len(groups))


def resample(groups: Sequence[np.ndarray], *, seed: int) -> list[np.ndarray]:
    """Bootstrap samples of values: of whole groups (micrographs), or of single values where there are fewer than three.

    Parameters
    ----------
    groups : sequence of (n,) arrays
        Values of each micrograph.
    seed : int
        Seed of the draws.
    """
    rng = np.random.default_rng(seed)
    if len(groups) < 3:
        values = np.concatenate(groups)
        return [rng.choice(values, len(values)) for _ in range(RESAMPLINGS)]
    draws = rng.integers(len(groups), size=(RESAMPLINGS, len(groups)))
    return [np.concatenate([groups[i] for i in draw]) for draw in draws]


def size_table(picks: pd.DataFrame) -> pd.DataFrame:
    """Table of the distribution of sizes and shapes of all whole picks.

    Parameters
    ----------
    picks : DataFrame
        Columns micrograph and those of `SHAPE_COLUMNS`.

    Returns
    -------
    DataFrame
        quantity, n_picks, mean, sd and the quantiles q05, q25, q50, q75, q95; empty values where there is no pick.
    """
    whole = whole_picks(picks)
    values = {name: whole[column] for column, name in QUANTITIES.items()}
    values[AXIS_RATIO] = whole[LONG_AXIS] / whole[SHORT_AXIS]
    rows = [_distribution(name, column.to_numpy(float)) for name, column in values.items()]
    return pd.DataFrame(rows)


def _distribution(name: str, values: np.ndarray) -> dict[str, float | str]:
    found = np.quantile(values, QUANTILES) if len(values) else np.full(len(QUANTILES), np.nan)
    spread = {"mean": values.mean(), "sd": values.std()} if len(values) else {"mean": np.nan, "sd": np.nan}
    quantiles = {f"q{round(100 * share):02d}": float(value) for share, value in zip(QUANTILES, found, strict=True)}
    return {"quantity": name, "n_picks": len(values), **spread, **quantiles}


def read_suggested_box(path: str | Path) -> float | None:
    """Suggested box in Å of a table of `suggest_sizes`; None where there were too few picks."""
    box = read_table(path)["box_angstrom"].item()
    return float(box) if np.isfinite(box) else None


def read_last_batch(path: str | Path) -> int | None:
    """Number of the last batch of the first run in a table ``first_sizes.tsv``; None if the table does not state it."""
    header, *rows = [line.split("\t") for line in Path(path).read_text().splitlines()] or [[""]]
    # an interrupted job may leave an empty or incomplete table, which its rule makes again
    stated = [row[header.index("last_batch")] for row in rows if "last_batch" in header and len(row) == len(header)]
    return int(stated[0]) if stated and stated[0].isdecimal() else None


def suggest_sizes(picks: pd.DataFrame, *, pixel_size: float, given_angstrom: float, seed: int = 0) -> pd.DataFrame:
    """One row with the estimated diameter, 1.16 times that of the outlines, and the box and mask that follow from it.

    Parameters
    ----------
    picks : DataFrame
        Columns micrograph and those of `SHAPE_COLUMNS`.
    pixel_size : float
        Pixel size of the micrographs, in Å/px.
    given_angstrom : float
        Particle diameter of the config, in Å.
    seed : int
        Seed of the bootstrap.

    Returns
    -------
    DataFrame
        given_angstrom, diameter_angstrom with its 95 % interval low_angstrom to high_angstrom, n_picks, n_micrographs,
        box_px (px of the micrographs) and box_angstrom, mask_angstrom; empty values where there are too few picks.
    """
    outline = estimate_size(picks, seed=seed)
    keys = ("diameter_angstrom", "low_angstrom", "high_angstrom")
    sizes = {key: EXTENTS_PER_OUTLINE * getattr(outline, key) for key in keys}
    diameter = sizes["diameter_angstrom"]
    box_px = box_size_px(DIAMETERS_PER_BOX * diameter, pixel_size) if np.isfinite(diameter) else np.nan
    more = {
        "box_px": box_px,
        "box_angstrom": box_px * pixel_size,
        "mask_angstrom": DIAMETERS_PER_MASK * diameter,
    }
    return pd.DataFrame([{"given_angstrom": given_angstrom, **outline._asdict(), **sizes, **more}])
