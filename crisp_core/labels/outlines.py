"""Labels from orientations: the outline of each particle is its re-projected density above a threshold.

The density is the map, low-passed and cut out by a mask. The mask's own silhouette is no good outline: it is as wide as
the mask is generous, and almost nothing scatters at its rim.
"""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy.ndimage
import scipy.spatial

from crisp_core.errors import UserError
from crisp_core.formats.arrays import Grid
from crisp_core.geometry import Shape, angstrom_to_px, rescaled_xy
from crisp_core.labels.discs import disc_label
from crisp_core.labels.thresholds import GLOBAL_THRESHOLDS, threshold_label
from crisp_core.simulation.projections import chunk_slices, project, shift_images
from crisp_core.simulation.volumes import low_pass_volume

SILHOUETTE = "silhouette"
OUTLINE_THRESHOLDS = (*GLOBAL_THRESHOLDS, SILHOUETTE)
# Parts of a map with fewer voxels than this share of its largest part are noise.
MIN_PART = 0.1
# Empty voxels around the cut-out density, for the Fourier shift.
MARGIN_PX = 2
# Directions from which the mean area of an outline is measured.
N_DIRECTIONS = 48
# What the list of unmatched rows says.
LABELLED_BY_DISC = "particle without orientation, labelled by a disc"
LEFT_OUT = "particle without orientation, left out"
WITHOUT_COORDINATE = "orientation without coordinate, ignored"


class Outline(NamedTuple):
    """Pixels of one particle."""

    inside: np.ndarray  # (h, w) bool
    corner: tuple[int, int]  # x, y of the first pixel; may lie outside the micrograph
    center: tuple[float, float]  # x, y of the particle


class MatchedPoses(NamedTuple):
    """Rows of a coordinates table and of a table of orientations that belong together, and those that don't."""

    particles: np.ndarray  # rows of the coordinates, rising
    poses: np.ndarray  # the orientation of each of them
    without_orientation: np.ndarray  # the other rows of the coordinates
    without_coordinate: np.ndarray  # the other rows of the orientations


class ParticleLabels(NamedTuple):
    """Labels of one micrograph, and what did not go into them as it should."""

    instances: np.ndarray  # (h, w) int32: 0 background, else the row of the coordinates, from 1
    unmatched: pd.DataFrame  # micrograph, x, y (full-resolution px), what


def label_particles(
    coordinates: pd.DataFrame,
    poses: pd.DataFrame,
    grid: Grid,
    density: np.ndarray,
    *,
    threshold: str,
    tolerance_angstrom: float,
    disc_radius_angstrom: float | None,
) -> ParticleLabels:
    """Outline the particles of one micrograph.

    Parameters
    ----------
    coordinates : pd.DataFrame
        Particles to label: micrograph, x, y in full-resolution px. Each is labelled where its orientation's origin
        says, which may be a few Å away.
    poses : pd.DataFrame
        Orientations of this micrograph, see `crisp_core.formats.poses`.
    grid : Grid
        Of the label.
    density : (n, n, n) array
        As `outline_density` makes it, at the grid's pixel size.
    threshold : str
        One of `OUTLINE_THRESHOLDS`.
    tolerance_angstrom : float
        Farthest distance of a particle's position in the two tables, Å.
    disc_radius_angstrom : float or None
        Disc for a particle without orientation, Å; None leaves it out.
    """
    xy, pose_xy = (
        rescaled_xy(table[["x", "y"]].to_numpy(), grid.full_shape, grid.shape) for table in (coordinates, poses)
    )
    matched = match_poses(xy, pose_xy, tolerance_px=angstrom_to_px(tolerance_angstrom, grid.pixel_size))
    origins = poses[["origin_x_angstrom", "origin_y_angstrom"]].to_numpy(dtype=float)
    centers = (pose_xy - angstrom_to_px(origins, grid.pixel_size))[matched.poses]
    angles = poses[["rot", "tilt", "psi"]].to_numpy(dtype=float)[matched.poses]
    outlines = project_outlines(density, centers, angles, threshold=threshold)
    rows = matched.particles
    if disc_radius_angstrom is not None:
        radius_px = angstrom_to_px(disc_radius_angstrom, grid.pixel_size)
        outlines = chain(outlines, disc_outlines(xy[matched.without_orientation], radius_px=radius_px))
        rows = np.concatenate([rows, matched.without_orientation])
    kinds = {
        LEFT_OUT if disc_radius_angstrom is None else LABELLED_BY_DISC: coordinates.iloc[matched.without_orientation],
        WITHOUT_COORDINATE: poses.iloc[matched.without_coordinate],
    }
    unmatched = pd.concat([table[["micrograph", "x", "y"]].assign(what=what) for what, table in kinds.items()])
    return ParticleLabels(merge_outlines(grid.shape, rows + 1, outlines), unmatched.reset_index(drop=True))


def map_mask(density: np.ndarray) -> np.ndarray:
    """Mask of a density's particle: above Li's threshold, without specks, holes filled.

    Parameters
    ----------
    density : (n, n, n) array
        Protein positive, low-passed.

    Returns
    -------
    (n, n, n) bool array
        The largest connected part and those with at least a tenth of its voxels.
    """
    parts, n = scipy.ndimage.label(threshold_label(density))
    sizes = np.bincount(parts.ravel(), minlength=n + 1)
    sizes[0] = 0
    return scipy.ndimage.binary_fill_holes((sizes >= max(1, MIN_PART * sizes.max()))[parts])


def outline_density(
    volume: np.ndarray | None,
    mask: np.ndarray | None,
    *,
    pixel_size: float,
    lowpass_angstrom: float,
    threshold: str,
) -> np.ndarray:
    """Make the density whose projections are thresholded.

    Parameters
    ----------
    volume : (n, n, n) array or None
        Map on the labels' pixel size, protein positive. Without it, the mask's thickness takes its place.
    mask : (n, n, n) array or None
        The user's mask on the same grid, 1 inside, also soft; by default `map_mask` of the low-passed map.
    pixel_size : float
        Å per voxel.
    lowpass_angstrom : float
        See `low_passed`.
    threshold : str
        One of `OUTLINE_THRESHOLDS`; silhouette makes the binary mask itself.

    Returns
    -------
    (m, m, m) float32 array, m even
        Voxel m // 2 is where n // 2 was. Cut close around the mask, since the threshold of an outline depends a little
        on how much empty ground there is.

    Raises
    ------
    UserError
        If map and mask have different shapes, or nothing is inside the mask.
    """
    if volume is not None and mask is not None and volume.shape != mask.shape:
        raise UserError(
            f"labels/mask: is {len(mask)} voxels wide on the labels' grid, and labels/map {len(volume)}; "
            "give a mask that was made for this map"
        )
    density = None if volume is None else low_pass_volume(volume, pixel_size, lowpass_angstrom)
    if mask is not None:
        inside = np.clip(mask, 0, 1)
    elif density is not None:
        inside = map_mask(density).astype(np.float32)
    else:
        raise ValueError("an outline needs a map or a mask")
    if threshold == SILHOUETTE:
        inside, density = (inside > 0.5).astype(np.float32), None
    middle = len(inside) // 2
    half = min(middle, _reach_px(inside > 0.5) + MARGIN_PX)
    cut = (slice(middle - half, middle + half),) * 3
    return np.ascontiguousarray(inside[cut] if density is None else inside[cut] * density[cut], dtype=np.float32)


def _reach_px(inside: np.ndarray) -> int:
    """Distance of a mask's farthest voxel from voxel n // 2."""
    voxels = np.argwhere(inside)
    if not len(voxels):
        raise UserError("labels: the map has nothing inside its mask; give another map or mask")
    return int(np.ceil(np.sqrt(((voxels - len(inside) // 2) ** 2).sum(axis=1).max())))


def outline_of_projection(projection: np.ndarray, threshold: str) -> np.ndarray:
    """Pixels (n, n) bool of a projection that belong to the particle.

    For the threshold it lies on empty ground of twice its side: without any, the threshold of a soft density rises.
    """
    if threshold == SILHOUETTE:
        return projection > 0.5
    ground_px = len(projection) // 2
    label = threshold_label(np.pad(projection, ground_px), method=threshold).astype(bool)
    return label[ground_px:-ground_px, ground_px:-ground_px]


def project_outlines(
    density: np.ndarray, xy: np.ndarray, euler_deg: np.ndarray, *, threshold: str
) -> Iterator[Outline]:
    """Outlines of particles from their orientations, to a fraction of a pixel.

    Parameters
    ----------
    density : (n, n, n) array
        As `outline_density` makes it.
    xy : (k, 2) array of (x, y)
        Where the axes of projection meet the micrograph, px.
    euler_deg : (k, 3) array
        rot, tilt, psi.
    threshold : str
        One of `OUTLINE_THRESHOLDS`, applied to each projection by itself.
    """
    n = len(density)
    for step in chunk_slices(len(xy), n):
        places = np.asarray(xy[step], dtype=float)
        whole = np.floor(places + 0.5).astype(int)
        projections = project(density, euler_deg[step])
        for projection, (x, y), place in zip(shift_images(projections, places - whole), whole, places, strict=True):
            yield Outline(outline_of_projection(projection, threshold), (x - n // 2, y - n // 2), tuple(place))


def disc_outlines(xy: np.ndarray, *, radius_px: float) -> Iterator[Outline]:
    """Discs as outlines; the pixels are those of `disc_label`."""
    reach = int(np.ceil(radius_px)) + 1
    side = (2 * reach + 1, 2 * reach + 1)
    for place in np.asarray(xy, dtype=float).reshape(-1, 2):
        corner = np.floor(place).astype(int) - reach
        yield Outline(disc_label(side, place - corner, radius_px=radius_px).astype(bool), tuple(corner), tuple(place))


def label_arrays(instances: np.ndarray, *, with_instances: bool) -> dict[str, np.ndarray]:
    """Arrays of a label file by kind: the label of numbered particles, and their numbers where they are wanted."""
    return {"label": (instances > 0).astype(np.uint8)} | ({"instance": instances} if with_instances else {})


def merge_outlines(shape: Shape, ids: Iterable[int], outlines: Iterable[Outline]) -> np.ndarray:
    """Put outlines on one micrograph.

    Parameters
    ----------
    shape : (int, int)
        Height and width; what reaches over the edge is cut.
    ids : iterable of int
        Number of each outline, from 1.
    outlines : iterable of Outline

    Returns
    -------
    shape int32 array
        0 background, else the particle's number. Where particles overlap, the one with the nearest centre (of two as
        near, the first).
    """
    instances = np.zeros(shape, dtype=np.int32)
    nearest = np.full(shape, np.inf, dtype=np.float32)
    for number, (inside, corner, center) in zip(ids, outlines, strict=True):
        low = np.array(corner[::-1])
        start, stop = (np.clip(edge, 0, shape) for edge in (low, low + inside.shape))
        here = tuple(slice(*ends) for ends in zip(start, stop, strict=True))
        inside = inside[tuple(slice(*ends) for ends in zip(start - low, stop - low, strict=True))]
        rows, columns = (np.arange(*ends) for ends in zip(start, stop, strict=True))
        distance = np.hypot(rows[:, None] - center[1], columns - center[0]).astype(np.float32)
        won = inside & (distance < nearest[here])
        instances[here][won], nearest[here][won] = number, distance[won]
    return instances


def equivalent_radius_px(density: np.ndarray, *, threshold: str) -> float:
    """Radius of the disc that has the outlines' mean area over directions spread evenly at random (a fixed draw)."""
    from scipy.spatial.transform import Rotation

    rotations = Rotation.from_quat(np.random.default_rng(0).normal(size=(N_DIRECTIONS, 4)))
    projections = project(density, rotations.as_euler("ZYZ", degrees=True))
    return float(np.sqrt(np.mean([outline_of_projection(image, threshold).sum() for image in projections]) / np.pi))


def match_poses(xy: np.ndarray, pose_xy: np.ndarray, *, tolerance_px: float) -> MatchedPoses:
    """Find the orientation of each particle: the nearest pair first, each particle and orientation once.

    Parameters
    ----------
    xy : (n, 2) array
        Positions of one micrograph's particles.
    pose_xy : (m, 2) array
        Positions (not centres) in the table of orientations.
    tolerance_px : float
        Farthest distance of the two.
    """
    xy, pose_xy = (np.asarray(table, dtype=float).reshape(-1, 2) for table in (xy, pose_xy))
    trees = [scipy.spatial.cKDTree(table) for table in (xy, pose_xy)]
    found = [(i, j) for i, near in enumerate(trees[0].query_ball_tree(trees[1], tolerance_px)) for j in near]
    pairs = np.array(found, dtype=int).reshape(-1, 2)
    distances = np.linalg.norm(xy[pairs[:, 0]] - pose_xy[pairs[:, 1]], axis=1)
    pose_of = np.full(len(xy), -1)
    free = np.ones(len(pose_xy), dtype=bool)
    for i, j in pairs[np.lexsort((pairs[:, 1], pairs[:, 0], distances))]:
        if pose_of[i] < 0 and free[j]:
            pose_of[i], free[j] = j, False
    particles = np.flatnonzero(pose_of >= 0)
    return MatchedPoses(particles, pose_of[particles], np.flatnonzero(pose_of < 0), np.flatnonzero(free))
