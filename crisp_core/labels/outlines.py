"""Labels from orientations: the outline of each particle is its re-projected density above a threshold.

The density is the map, low-passed and multiplied by a mask. The silhouette of the mask itself would be too wide, since
masks are larger than the particle and almost nothing scatters at their rim.
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
# Minimum size of a connected part of a map, as a share of its largest part; smaller parts are noise.
MIN_PART = 0.1
# Empty voxels around the cut-out density, for the Fourier shift.
MARGIN_PX = 2
# Number of directions over which the area of outlines is averaged.
N_DIRECTIONS = 48
# Texts in the list of unmatched rows.
LABELLED_BY_DISC = "particle without orientation, labelled by a disc"
LEFT_OUT = "particle without orientation, left out"
WITHOUT_COORDINATE = "orientation without coordinate, ignored"


class Outline(NamedTuple):
    """Pixels of one particle."""

    inside: np.ndarray  # (h, w) bool
    corner: tuple[int, int]  # x, y of the first pixel; may be outside of the micrograph
    center: tuple[float, float]  # x, y of the particle


class MatchedPoses(NamedTuple):
    """Matched and unmatched rows of a table of coordinates and a table of orientations."""

    particles: np.ndarray  # rows of the coordinates with an orientation, increasing
    poses: np.ndarray  # rows of their orientations
    without_orientation: np.ndarray  # unmatched rows of the coordinates
    without_coordinate: np.ndarray  # unmatched rows of the orientations


class ParticleLabels(NamedTuple):
    """Labels of one micrograph, and the unmatched rows of its tables."""

    instances: np.ndarray  # (h, w) int32: 0 background, otherwise row of the coordinates, from 1
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
    """Label the particles of one micrograph by their outlines.

    Parameters
    ----------
    coordinates : pd.DataFrame
        Particles to label: micrograph, x, y in px of the full micrograph. The centre of a label is that of the
        orientation, which may be a few Å away.
    poses : pd.DataFrame
        Orientations of this micrograph, see `formats.poses`.
    grid : Grid
        Shape and pixel size of the label.
    density : (n, n, n) array
        Result of `outline_density` at the pixel size of the label.
    threshold : str
        Method, one of `OUTLINE_THRESHOLDS`.
    tolerance_angstrom : float
        Maximum distance between the positions of a particle in the two tables, Å.
    disc_radius_angstrom : float or None
        Radius of the disc for a particle without orientation, Å; None leaves such particles out.
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
    """Mask the particle of a density: above Li's threshold, without specks, holes filled.

    Parameters
    ----------
    density : (n, n, n) array
        Low-passed density, protein positive.

    Returns
    -------
    (n, n, n) bool array
        Largest connected part, and parts with at least a tenth of its voxels.
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
    """Make the density for the projections from which outlines are made.

    Parameters
    ----------
    volume : (n, n, n) array or None
        Map at the pixel size of the labels, protein positive. Without it, the thickness of the mask is used.
    mask : (n, n, n) array or None
        Mask of the same shape, 1 inside, binary or soft; by default `map_mask` of the low-passed map.
    pixel_size : float
        Pixel size of map and mask, Å per voxel.
    lowpass_angstrom : float
        Resolution of the low-pass filter, Å.
    threshold : str
        Method, one of `OUTLINE_THRESHOLDS`; silhouette returns the binary mask itself.

    Returns
    -------
    (m, m, m) float32 array, m even
        Density, cut out close to the mask around voxel n // 2, since the threshold of an outline depends slightly on
        the amount of empty background.

    Raises
    ------
    UserError
        If map and mask have different shapes, or the mask is empty.
    """
    if volume is not None and mask is not None and volume.shape != mask.shape:
        raise UserError(
            f"labels/mask: has {len(mask)} voxels per side at the pixel size of the labels, but labels/map has "
            f"{len(volume)}; give a mask for this map"
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
    """Return the largest distance of a mask voxel from voxel n // 2."""
    voxels = np.argwhere(inside)
    if not len(voxels):
        raise UserError("labels: the mask of the map is empty; give another map or mask")
    return int(np.ceil(np.sqrt(((voxels - len(inside) // 2) ** 2).sum(axis=1).max())))


def outline_of_projection(projection: np.ndarray, threshold: str) -> np.ndarray:
    """Return the particle pixels (n, n) bool of a projection.

    The projection is padded to twice its side, since the threshold of a soft density is too high without background.
    """
    if threshold == SILHOUETTE:
        return projection > 0.5
    ground_px = len(projection) // 2
    label = threshold_label(np.pad(projection, ground_px), method=threshold).astype(bool)
    return label[ground_px:-ground_px, ground_px:-ground_px]


def project_outlines(
    density: np.ndarray, xy: np.ndarray, euler_deg: np.ndarray, *, threshold: str
) -> Iterator[Outline]:
    """Yield the outlines of particles from their orientations, with sub-pixel positions.

    Parameters
    ----------
    density : (n, n, n) array
        Result of `outline_density`.
    xy : (k, 2) array of (x, y)
        Centres of the projections in px of the micrograph.
    euler_deg : (k, 3) array
        rot, tilt, psi in degrees.
    threshold : str
        Method, one of `OUTLINE_THRESHOLDS`; each projection has its own threshold.
    """
    n = len(density)
    for step in chunk_slices(len(xy), n):
        places = np.asarray(xy[step], dtype=float)
        whole = np.floor(places + 0.5).astype(int)
        projections = project(density, euler_deg[step])
        for projection, (x, y), place in zip(shift_images(projections, places - whole), whole, places, strict=True):
            yield Outline(outline_of_projection(projection, threshold), (x - n // 2, y - n // 2), tuple(place))


def disc_outlines(xy: np.ndarray, *, radius_px: float) -> Iterator[Outline]:
    """Yield discs as outlines, with the same pixels as `disc_label`."""
    reach = int(np.ceil(radius_px)) + 1
    side = (2 * reach + 1, 2 * reach + 1)
    for place in np.asarray(xy, dtype=float).reshape(-1, 2):
        corner = np.floor(place).astype(int) - reach
        yield Outline(disc_label(side, place - corner, radius_px=radius_px).astype(bool), tuple(corner), tuple(place))


def label_arrays(instances: np.ndarray, *, with_instances: bool) -> dict[str, np.ndarray]:
    """Return the arrays of a label file by kind: label and, on request, numbers of the particles."""
    return {"label": (instances > 0).astype(np.uint8)} | ({"instance": instances} if with_instances else {})


def merge_outlines(shape: Shape, ids: Iterable[int], outlines: Iterable[Outline]) -> np.ndarray:
    """Merge outlines into one image of numbered particles.

    Parameters
    ----------
    shape : (int, int)
        Height and width of the image; outlines are cut off at the edge.
    ids : iterable of int
        Number of each outline, from 1.
    outlines : iterable of Outline
        Outlines in the order of the numbers.

    Returns
    -------
    shape int32 array
        0 background, otherwise the number of a particle. Overlapping pixels belong to the particle with the closest
        centre, or to the first of two at equal distance.
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
    """Return the radius of a disc with the mean area of the outlines over random directions (fixed seed)."""
    from scipy.spatial.transform import Rotation

    rotations = Rotation.from_quat(np.random.default_rng(0).normal(size=(N_DIRECTIONS, 4)))
    projections = project(density, rotations.as_euler("ZYZ", degrees=True))
    return float(np.sqrt(np.mean([outline_of_projection(image, threshold).sum() for image in projections]) / np.pi))


def match_poses(xy: np.ndarray, pose_xy: np.ndarray, *, tolerance_px: float) -> MatchedPoses:
    """Match particles and orientations one to one, closest pairs first.

    Parameters
    ----------
    xy : (n, 2) array
        Positions of the particles of one micrograph.
    pose_xy : (m, 2) array
        Positions in the table of orientations, before the shift by their origins.
    tolerance_px : float
        Maximum distance of a pair in px.
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
