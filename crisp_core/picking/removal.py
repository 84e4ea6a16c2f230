"""Removal of picks by rule, each dropped pick with its reason."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import ndimage

from crisp_core.classes import AVOIDED, CLASSES
from crisp_core.evaluation.masked_area import on_masked_area
from crisp_core.formats.arrays import Grid
from crisp_core.geometry import Shape, rescaled_xy
from crisp_core.picking.settings import RemovalSettings


class Sorted(NamedTuple):
    """Kept picks, and dropped picks with a column `reason`; both in their given order and with their given columns."""

    kept: pd.DataFrame
    dropped: pd.DataFrame


def beyond_edge(xy: np.ndarray, *, full_shape: Shape, box_px: int) -> np.ndarray:
    """Say of each pick whether its box leaves the micrograph, shape (n,).

    The box of even side `box_px` has its pixel box_px / 2 on the coordinate cut to an integer, as RELION extracts it.

    Parameters
    ----------
    xy : (n, 2) array
        Positions as (x, y), in px of the micrograph.
    full_shape : (int, int)
        Height and width of the micrograph, in px.
    box_px : int
        Side of the box, in px of the micrograph; even.
    """
    first = np.trunc(np.asarray(xy, dtype=float).reshape(-1, 2)) - box_px // 2
    return np.any((first < 0) | (first + box_px > [full_shape[1], full_shape[0]]), axis=1)


def distance_to_class(xy: np.ndarray, label: np.ndarray, value: int, *, full_shape: Shape) -> np.ndarray:
    """Distance (n,) in full-resolution px of each pick to the nearest pixel of a class; infinite where there is none.

    Parameters
    ----------
    xy : (n, 2) array
        Positions as (x, y) in px of the micrograph of `full_shape`.
    label : (h, w) integer array
        Class of each pixel, on any grid over the same micrograph. Distances between its pixels are interpolated.
    """
    others = np.asarray(label) != value
    if others.all():
        return np.full(len(xy), np.inf)
    step = full_shape[0] / label.shape[0], full_shape[1] / label.shape[1]
    distance = ndimage.distance_transform_edt(others, sampling=step)
    rows_columns = rescaled_xy(xy, full_shape, label.shape).T[::-1]
    return ndimage.map_coordinates(distance, rows_columns, order=1, mode="nearest")


def drop_picks(
    picks: pd.DataFrame,
    *,
    full_shape: Shape,
    box_px: int = 0,
    valid: np.ndarray | None = None,
    label: np.ndarray | None = None,
    keep_away_px: Mapping[int, float] | None = None,
) -> Sorted:
    """Sort the picks of one micrograph into kept ones and ones that a rule drops.

    Parameters
    ----------
    picks : DataFrame
        Columns x, y in px of the micrograph, and any others.
    full_shape : (height, width)
        Height and width of the micrograph in px.
    box_px : int
        Even side of the particle box: picks whose box leaves the micrograph are dropped (reason `edge`); 0
        keeps them.
    valid : (h, w) bool array, optional
        Valid area on any grid: picks on masked area or outside of the micrograph are dropped (reason
        `masked area`).
    label : (h, w) integer array, optional
        Predicted class of each pixel on any grid.
    keep_away_px : mapping of class to distance, optional
        Distance in px of the micrograph to each class, by its number, within which picks are removed; the reason is the
        name of the class. A distance of 0 means on the class itself.

    Returns
    -------
    Sorted
        Every pick is in one of the two tables. The reason is the first that applies: masked area, the classes in the
        order of `keep_away_px`, edge.
    """
    xy = picks[["x", "y"]].to_numpy(float)
    rules = {}
    if valid is not None:
        rules["masked area"] = on_masked_area(xy, valid, full_shape=full_shape)
    if label is not None:
        for value, distance in (keep_away_px or {}).items():
            near = distance_to_class(xy, label, value, full_shape=full_shape) <= distance
            rules[CLASSES[value]] = near
    if box_px:
        rules["edge"] = beyond_edge(xy, full_shape=full_shape, box_px=box_px)
    reason = np.select(list(rules.values()), list(rules), default="") if rules else np.full(len(picks), "")
    gone = reason != ""
    return Sorted(picks[~gone].reset_index(drop=True), picks[gone].assign(reason=reason[gone]).reset_index(drop=True))


def apply_rules(
    found: pd.DataFrame,
    grid: Grid,
    *,
    valid: np.ndarray,
    label: np.ndarray | None,
    removal: RemovalSettings,
    diameter_px: float,
    box_px: int,
) -> Sorted:
    """Convert centres of a map to pixels of their micrograph, and apply the rules of the config.

    Parameters
    ----------
    found : DataFrame
        Columns x, y in px of the map, and any others.
    grid : Grid
        Shapes and pixel size of the map.
    valid : (h, w) bool array
    label : (h, w) integer array, optional
        Predicted class of each pixel, where the network has more than particle and background.
    removal : RemovalSettings
        Section `removal` of an experiment.
    diameter_px : float
        Particle diameter in px of the micrograph.
    box_px : int
        Side of the box that must lie inside; 0 where none must.

    Returns
    -------
    Sorted
        In px of the micrograph.
    """
    placed = found.copy()
    placed[["x", "y"]] = rescaled_xy(found[["x", "y"]].to_numpy(), grid.shape, grid.full_shape)
    distances = {each.number: getattr(removal, f"{each.name}_diameters") for each in AVOIDED}
    keep_away = {class_: diameters * diameter_px for class_, diameters in distances.items() if diameters is not None}
    return drop_picks(
        placed, full_shape=grid.full_shape, box_px=box_px, valid=valid, label=label, keep_away_px=keep_away
    )


def kept_on_map(found: pd.DataFrame, grid: Grid, **rules: Any) -> pd.DataFrame:
    """Centres that `apply_rules` keeps, in px of the map."""
    kept = apply_rules(found, grid, **rules).kept
    kept[["x", "y"]] = rescaled_xy(kept[["x", "y"]].to_numpy(), grid.full_shape, grid.shape)
    return kept


def describe_dropped(dropped: pd.DataFrame) -> str:
    """Describe dropped picks for a log line, as ", 3 dropped: masked area"; empty where there is none."""
    return "".join(f", {n} dropped: {reason}" for reason, n in dropped["reason"].value_counts(sort=False).items())


def describe_picks(kept: pd.DataFrame, dropped: pd.DataFrame, threshold: float) -> str:
    """Describe the result of a micrograph for a log line, as "9 picks of 12 candidates, 3 dropped: edge".

    Parameters
    ----------
    kept, dropped : DataFrame
        Candidates that the rules keep, column score, and dropped picks, column reason.
    threshold : float
        Lowest score of a pick.
    """
    n_picks = (kept["score"] >= threshold).sum()
    return f"{n_picks} picks of {len(kept)} candidates{describe_dropped(dropped)}"
