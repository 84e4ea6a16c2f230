"""What probability maps look like: isolated regions, and the histogram of the probabilities."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import ndimage

from crisp_core.classes import PARTICLE
from crisp_core.evaluation.parts import add_pooled_rows

N_BINS = 20
# a map is unsure of a pixel between these
UNSURE = (0.05, 0.95)


class MapCounts(NamedTuple):
    """Regions of a map and of its label, pixels per bin of probability, and pixels of which the map is unsure."""

    n_regions: int
    n_labelled: int
    n_unsure: int
    histogram: np.ndarray  # (N_BINS,)


def count_map(probability: np.ndarray, label: np.ndarray, valid: np.ndarray, *, threshold: float = 0.5) -> MapCounts:
    """Count on valid pixels only.

    Parameters
    ----------
    probability : (h, w) float array
    label : (h, w) integer array
        Regions of the particle class are counted.
    valid : (h, w) bool array
    threshold : float
        A region is made of pixels at or above it that touch by a side or a corner.
    """
    inside = probability[valid]
    return MapCounts(
        count_regions((probability >= threshold) & valid),
        count_regions((label == PARTICLE) & valid),
        int(((inside > UNSURE[0]) & (inside < UNSURE[1])).sum()),
        np.histogram(inside, bins=N_BINS, range=(0, 1))[0],
    )


def count_regions(mask: np.ndarray) -> int:
    """Count the regions of a mask (h, w) that touch neither by a side nor by a corner."""
    return ndimage.label(mask, np.ones((3, 3)))[1]


def map_table(rows: Iterable[tuple[str, str, MapCounts]]) -> pd.DataFrame:
    """Table with one row per micrograph and one row `all` of sums per part.

    Parameters
    ----------
    rows : iterable of (part, micrograph, counts)

    Returns
    -------
    DataFrame
        Columns part, micrograph, n_regions, n_labelled, unsure_share, and p_0.00, p_0.05 …, the shares of the pixels
        whose probability begins there; of nothing, shares are NaN.
    """
    return pd.DataFrame([_record(*row) for row in add_pooled_rows(rows, _pool_maps)])


def _pool_maps(counts: Sequence[MapCounts]) -> MapCounts:
    columns: Iterable[tuple[Any, ...]] = zip(*counts, strict=True)
    return MapCounts(*(sum(values) for values in columns))


def pooled_map_row(table: pd.DataFrame, *, part: str = "test") -> pd.Series:
    """Row of all micrographs of a part, of a table of `map_table`."""
    return table[(table["part"] == part) & (table["micrograph"] == "all")].iloc[0]


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
