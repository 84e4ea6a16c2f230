import numpy as np
import pytest

from crisp_core.segmentation.tiles import SIDE_MULTIPLE, stitch, tiling, window

SIZES = [
    ((100, 100), 32, 8),
    ((64, 97), 32, 16),
    ((20, 70), 32, 8),
    ((32, 32), 32, 8),
    ((33, 31), 32, 1),
    ((300, 260), 128, 16),
]


def cut(image, tile, overlap):
    tiles = tiling(image.shape, tile_px=tile, overlap_px=overlap)
    height, width = tiles.shape
    return [image[y : y + height, x : x + width] for y, x in tiles.corners], tiles


@pytest.mark.parametrize(("shape", "tile", "overlap"), SIZES)
def test_stitching_a_constant_gives_that_constant_up_to_the_rim(shape, tile, overlap):
    parts, tiles = cut(np.full(shape, 0.37, np.float32), tile, overlap)
    np.testing.assert_allclose(stitch(parts, tiles, shape, overlap_px=overlap), np.float32(0.37), rtol=1e-6)


@pytest.mark.parametrize(("shape", "tile", "overlap"), SIZES)
def test_stitching_the_tiles_of_an_image_gives_the_image(shape, tile, overlap):
    image = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    parts, tiles = cut(image, tile, overlap)
    np.testing.assert_allclose(stitch(iter(parts), tiles, shape, overlap_px=overlap), image, atol=1e-6)


@pytest.mark.parametrize(("shape", "tile", "overlap"), SIZES)
def test_tiles_lie_inside_and_neighbours_share_at_least_the_overlap(shape, tile, overlap):
    tiles = tiling(shape, tile_px=tile, overlap_px=overlap)
    for axis in (0, 1):
        starts, side = np.unique(tiles.corners[:, axis]), tiles.shape[axis]
        assert starts[0] == 0 and starts[-1] + side == shape[axis] and side <= tile
        assert (np.diff(starts) <= side - overlap).all()
        # as few as full-sized tiles, the last one snapped to the edge
        assert len(starts) == len({*range(0, max(shape[axis] - tile, 0), tile - overlap), max(shape[axis] - tile, 0)})


def test_tiles_shrink_to_what_their_number_needs():
    tiles = tiling((1024, 1024), tile_px=512, overlap_px=64)
    assert len(tiles.corners) == 9 and tiles.shape == (384, 384)
    assert tiling((4096, 300), tile_px=512, overlap_px=64).shape[0] % SIDE_MULTIPLE == 0


def test_two_tiles_fade_into_each_other():
    weight = window((16, 16), 4)[8]
    np.testing.assert_allclose(weight[-4:] + weight[:4], 1.0)
