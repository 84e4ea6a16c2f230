"""Orientations, names and radii with which the particles of a batch are labelled."""

import logging
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from crisp_core.errors import UserError
from crisp_core.formats.arrays import Grid
from crisp_core.formats.coordinates.names import matched_column
from crisp_core.formats.poses import read_poses, upside_down
from crisp_core.formats.tables import read_table
from crisp_core.labels.outlines import WITHOUT_COORDINATE, equivalent_radius_px

log = logging.getLogger("crisp")

# fewer orientations may be unmatched by chance
LEAST_POSSIBLE = 10


def read_matched_names(paths: Iterable[str]) -> list[str]:
    """Read the micrographs that have coordinates, from tables of matched names."""
    tables = [read_table(path)["micrograph"] for path in paths]
    return pd.concat(tables).dropna().unique().tolist()


def poses_on_grids(
    path: str, labelled: list[str], grids: Mapping[str, Grid], *, origin: str, subtract_origins: bool = False
) -> pd.DataFrame:
    """Read the orientations of the particles on some micrographs, y counted from the top.

    Parameters
    ----------
    path : str
        Star file with orientations.
    labelled : list of str
        Micrographs of the dataset that have coordinates, with which the names in the file are matched.
    grids : mapping of micrograph to Grid
        Micrographs whose orientations are returned.
    origin : str
        ``top-left`` or ``bottom-left``, from where y counts in the file.
    subtract_origins : bool
        Move the positions by the origins, which become 0, as `coordinates/subtract_origins` moves coordinates.
    """
    poses = read_poses(path)
    poses["micrograph"] = matched_column(poses["micrograph"], labelled, source=path)
    poses = poses[poses["micrograph"].isin(grids)]
    if subtract_origins:
        poses = at_origins(poses, {name: grid.full_pixel_size for name, grid in grids.items()})
    if origin == "bottom-left":
        return upside_down(poses, {name: grid.full_shape[0] for name, grid in grids.items()})
    return poses


def at_origins(poses: pd.DataFrame, pixel_sizes: Mapping[str, float]) -> pd.DataFrame:
    """Orientations at the positions that a refinement found, with origins of 0.

    Parameters
    ----------
    poses : DataFrame
        Result of `read_poses`.
    pixel_sizes : mapping of str to float
        Å/px of the micrographs, by name.
    """
    size = poses["micrograph"].map(dict(pixel_sizes))
    moved = {axis: poses[axis] - poses[f"origin_{axis}_angstrom"] / size for axis in "xy"}
    return poses.assign(**moved, origin_x_angstrom=0.0, origin_y_angstrom=0.0)


def check_matched(unmatched: pd.DataFrame, particles: pd.Series, poses: pd.Series, *, path: str, table: str) -> None:
    """Log particles and orientations without a partner, and refuse orientations most of which have none.

    Parameters
    ----------
    unmatched : DataFrame
        Unmatched rows of a batch, with the column what.
    particles, poses : Series
        Micrograph of every particle, and of every orientation.
    path : str
        File of the orientations.
    table : str
        File of the unmatched rows.

    Raises
    ------
    UserError
        If at least ten of them could match, and fewer than half do.
    """
    counts = pd.concat([particles.value_counts(), poses.value_counts()], axis=1).fillna(0)
    n_possible = int(counts.min(axis=1).sum())
    n_matched = len(poses) - int((unmatched["what"] == WITHOUT_COORDINATE).sum())
    if n_possible >= LEAST_POSSIBLE and n_matched < n_possible / 2:
        raise UserError(
            f"{path}: only {n_matched} of {n_possible} orientations lie at a coordinate of the dataset; check "
            "labels/poses_origin, and that both files count pixels of the same micrographs"
        )
    for what, n in unmatched["what"].value_counts().items():
        log.warning("%s: %d, see %s", what, n, table)


def radius_without_pose(
    density: np.ndarray, *, without_orientation: str, radius_angstrom: float | None, pixel_size: float, threshold: str
) -> float | None:
    """Radius (Å) of the disc that labels a particle without orientation; None if it gets no label.

    Parameters
    ----------
    density : array
        Density of the particle, of `outline_density`.
    without_orientation : str
        ``disc`` gives such a particle a disc.
    radius_angstrom : float or None
        Radius of the disc; None takes that of the mean outline.
    pixel_size : float
        Pixel size of the density, Å/px.
    threshold : str
        Method of the threshold of the outlines.
    """
    if without_orientation != "disc":
        return None
    return (
        pixel_size * equivalent_radius_px(density, threshold=threshold) if radius_angstrom is None else radius_angstrom
    )
