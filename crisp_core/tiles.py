"""Overlapping tiles of a micrograph, and their blending back into one map."""

import numpy as np

from crisp_core.geometry import Shape


def tile_starts(length: int, tile: int, overlap: int) -> list[int]:
    """First pixels of the tiles along one axis; the last tile is snapped to the edge.

    Parameters
    ----------
    length, tile, overlap : int
        Pixels of the axis, of a tile, and the least that two neighbours share (less than `tile`). An axis shorter
        than a tile has one tile, as long as the axis.
    """
    last = max(length - tile, 0)
    return sorted({*range(0, last, tile - overlap), last})


def tile_corners(shape: Shape, tile: int, overlap: int) -> np.ndarray:
    """Return the corners (n, 2) as (y, x) of the tiles that cover an image of `shape`, row by row."""
    rows, columns = (tile_starts(n, tile, overlap) for n in shape)
    return np.array([(y, x) for y in rows for x in columns])


def tile_shape(shape: Shape, tile: int) -> Shape:
    """Shape of every tile of an image of `shape`: `tile` squared, or the image's side where that is shorter."""
    return min(shape[0], tile), min(shape[1], tile)


def window(shape: Shape, overlap: int) -> np.ndarray:
    """Weight of a tile's pixels: outer product of two ramp–flat–ramp profiles, nowhere zero.

    The ramps are `overlap` pixels long (at most half of the side), so where two tiles share just `overlap` pixels
    one fades out as the other fades in.
    """
    return np.outer(*(_profile(n, overlap) for n in shape))


def _profile(length: int, overlap: int) -> np.ndarray:
    ramp = max(min(overlap, length // 2), 0)
    distance_to_end = np.minimum(np.arange(length), np.arange(length)[::-1]) + 0.5
    return np.clip(distance_to_end / max(ramp, 1), 0.0, 1.0)


def stitch(tiles: np.ndarray, corners: np.ndarray, shape: Shape, *, overlap: int) -> np.ndarray:
    """Blend overlapping tiles: sum of weight × tile over the sum of weights, a partition of unity up to the rim.

    Parameters
    ----------
    tiles : (n, ..., height, width) array
        Values of the tiles, for instance (n, labels, height, width) probabilities.
    corners : (n, 2) integer array
        (y, x) of each tile's first pixel; the tiles must cover the image.
    shape : (height, width)
        Size of the image in pixels.
    overlap : int
        Length of the weight's ramps in pixels.

    Returns
    -------
    (..., height, width) float32 array

    Raises
    ------
    ValueError
        If a pixel is covered by no tile.
    """
    height, width = tiles.shape[-2:]
    weight = window((height, width), overlap).astype(np.float32)
    total = np.zeros((*tiles.shape[1:-2], *shape), dtype=np.float32)
    weights = np.zeros(shape, dtype=np.float32)
    for tile, (y, x) in zip(tiles, corners, strict=True):
        total[..., y : y + height, x : x + width] += weight * tile
        weights[y : y + height, x : x + width] += weight
    if not weights.all():
        raise ValueError("the tiles do not cover the image")
    return total / weights
