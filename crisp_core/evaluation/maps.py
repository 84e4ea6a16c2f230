"""Properties of probability maps: number of isolated regions, and histogram of the probabilities."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import ndimage

from crisp_core.classes import PARTICLE
from crisp_core.errors import UserError
from crisp_core.evaluation.parts import add_pooled_rows

N_BINS = 20
# Bounds of the probability of an unsure pixel.
UNSURE = (0.05, 0.95)


class MapCounts(NamedTuple):
    """Numbers of regions in a map and its label, of unsure pixels, and of pixels per bin of probability."""

    n_regions: int
    n_labelled: int
    n_unsure: int
    histogram: np.ndarray  # (N_BINS,)


def count_map(probability: np.ndarray, label: np.ndarray, valid: np.ndarray, *, threshold: float = 0.5) -> MapCounts:
    """Count regions and pixels of a map, on valid pixels only.

    Parameters
    ----------
    probability : (h, w) float array
        Probability of the particle class.
    label : (h, w) integer array
        Class of each pixel; regions of the particle class are counted.
    valid : (h, w) bool array
        True on valid pixels.
    threshold : float
        Minimum probability of the pixels of a region, which touch by a side or a corner.
    """
    inside = probability[valid]
    return MapCounts(
        count_regions((probability >= threshold) & valid),
        count_regions((label == PARTICLE) & valid),
        int(((inside > UNSURE[0]) & (inside < UNSURE[1])).sum()),
        np.histogram(inside, bins=N_BINS, range=(0, 1))[0],
    )


def count_regions(mask: np.ndarray) -> int:
    """Count the connected regions of a mask (h, w); pixels that touch by a corner are connected."""
    return ndimage.label(mask, np.ones((3, 3)))[1]


def map_table(rows: Iterable[tuple[str, str, MapCounts]]) -> pd.DataFrame:
    """Return a table with one row per micrograph and one row `all` of sums per part.

    Parameters
    ----------
    rows : iterable of (part, micrograph, counts)

    Returns
    -------
    DataFrame
        Columns part, micrograph, n_regions, n_labelled, unsure_share, and shares of pixels per bin of probability,
        p_0.00, p_0.05 …, named by their lower bound; without valid pixels, shares are NaN.
    """
    columns = list(_record("", "", MapCounts(0, 0, 0, np.zeros(N_BINS, int))))
    return pd.DataFrame([_record(*row) for row in add_pooled_rows(rows, _pool_maps)], columns=columns)


def _pool_maps(counts: Sequence[MapCounts]) -> MapCounts:
    columns: Iterable[tuple[Any, ...]] = zip(*counts, strict=True)
    return MapCounts(*(sum(values) for values in columns))


def pooled_map_row(table: pd.DataFrame, *, part: str = "test") -> pd.Series:
    """Return the row `all` of a part from a result of `map_table`.

    Raises
    ------
    UserError
        If the part has no micrograph with a map.
    """
    rows = table[(table["part"] == part) & (table["micrograph"] == "all")]
    if rows.empty:
        raise UserError(f"metrics/maps.tsv: no micrograph of the {part} part has a map; raise split/{part}")
    return rows.iloc[0]


def _record(part: str, micrograph: str, counts: MapCounts) -> dict[str, str | int | float]:
    n_pixels = int(counts.histogram.sum())
    shares = counts.histogram / n_pixels if n_pixels else np.full(N_BINS, np.nan)
    return {
        "part": part,
        "micrograph": micrograph,
        "n_regions": counts.n_regions,
        "n_labelled": counts.n_labelled,
        "unsure_share": counts.n_unsure / n_pixels if n_pixels else np.nan,
        **{f"p_{i / N_BINS:.2f}": share for i, share in enumerate(shares)},
    }
