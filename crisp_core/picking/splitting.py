"""Splitting of a centre between two particles whose outlines have merged.

A finder sees one maximum where two particles overlap by half. Their outline gives them away: it is larger by more than
half than most others on the micrograph.
"""

import numpy as np
from scipy import ndimage

from crisp_core.picking.finders.depths import Depths
from crisp_core.picking.finders.footprint import unscaled

# At 1.5 noisy outlines of single particles are split, at 1.8 fewer merged ones are: benchmarks/centers.py, finders.py.
MERGED_AREA = 1.6
# The centres of the halves of one particle are 0.42 of its length apart for a disc, and 0.5 for a rod.
NEAREST_HALVES = 0.5
# A single particle is at most so many times as long as the median outline is wide, and at most a diameter long.
LONGEST = 1.6
KMEANS_STEPS = 20


def split_merged(depths: Depths, xy: np.ndarray) -> np.ndarray:
    """Replace each centre whose outline is larger than 1.6 times the median, and longer than one particle, by two.

    A watershed of the depth separates touching outlines between their centres. The two new centres are the centres of
    the outline's two halves (k-means, started along its longest axis). If these are as near as the halves of a single
    particle, which lies on its longer side or is larger than most, the centre stays.

    Parameters
    ----------
    depths : Depths
        Depths of the map on which the centres were found.
    xy : (n, 2) array
        Centres on that map.

    Returns
    -------
    (m, 2) array, m ≥ n
    """
    if not len(xy) or not depths.depth.any():
        return xy
    regions = _regions(depths, xy)
    area = np.bincount(regions.ravel(), minlength=len(xy) + 1)[1:]
    if not area.any():
        return xy
    median = np.median(area[area > 0])
    places = ndimage.find_objects(regions, max_label=len(xy))
    halves = {i: _halves(regions[places[i]] == i + 1, places[i]) for i in np.flatnonzero(area > MERGED_AREA * median)}
    longest_px = min(depths.diameter_px, LONGEST * 2 * np.sqrt(median / np.pi))
    two = {i: half for i, half in halves.items() if np.hypot(*(half[1] - half[0])) > NEAREST_HALVES * longest_px}
    merged = np.array([*two], dtype=int)
    return np.concatenate([np.delete(xy, merged, axis=0), *(unscaled(half, depths.factor) for half in two.values())])


def _regions(depths: Depths, xy: np.ndarray) -> np.ndarray:
    """Number of the centre (from 1) to which each pixel of the outlines belongs."""
    from skimage.segmentation import watershed

    height, width = depths.depth.shape
    x, y = np.rint((xy + 0.5) / depths.factor - 0.5).astype(int).T
    markers = np.zeros(depths.depth.shape, dtype=np.int32)
    markers[y.clip(0, height - 1), x.clip(0, width - 1)] = np.arange(1, len(xy) + 1)
    return watershed(-depths.smooth_depth, markers, mask=depths.depth > 0)


def _halves(region: np.ndarray, place: tuple[slice, slice]) -> np.ndarray:
    """Centres (2, 2) as x, y of the two halves of a region that was cut out at `place`."""
    points = np.argwhere(region)[:, ::-1] + [place[1].start, place[0].start]
    middle = points.mean(axis=0)
    _, spread, axes = np.linalg.svd(points - middle, full_matrices=False)
    centers = middle + np.array([[1], [-1]]) * axes[0] * spread[0] / np.sqrt(len(points))
    for _ in range(KMEANS_STEPS):
        # nearer to the second: beyond the line halfway between the two
        second = (points - centers.mean(axis=0)) @ (centers[1] - centers[0]) > 0
        before, centers = centers, np.stack([points[~second].mean(axis=0), points[second].mean(axis=0)])
        if np.array_equal(before, centers):
            break
    return centers
