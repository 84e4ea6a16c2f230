"""Orientations, names and radii with which the particles of a batch are labelled."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from crisp_core.formats.arrays import Grid
from crisp_core.formats.coordinates.names import matched_column
from crisp_core.formats.poses import read_poses, upside_down
from crisp_core.formats.tables import read_table
from crisp_core.labels.outlines import equivalent_radius_px


def read_matched_names(paths: Iterable[str]) -> list[str]:
    """Read the micrographs that have coordinates, from tables of matched names."""
    tables = [read_table(path)["micrograph"] for path in paths]
    return pd.concat(tables).dropna().unique().tolist()


def poses_on_grids(path: str, labelled: list[str], grids: Mapping[str, Grid], *, origin: str) -> pd.DataFrame:
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
    """
    poses = read_poses(path)
    poses["micrograph"] = matched_column(poses["micrograph"], labelled, source=path)
    poses = poses[poses["micrograph"].isin(grids)]
    if origin == "bottom-left":
        return upside_down(poses, {name: grid.full_shape[0] for name, grid in grids.items()})
    return poses


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
