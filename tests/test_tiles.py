import numpy as np
import pytest

from crisp_core.tiles import stitch, tile_corners, tile_shape, window

SIZES = [((100, 100), 32, 8), ((64, 97), 32, 16), ((20, 70), 32, 8), ((32, 32), 32, 8), ((33, 31), 32, 1)]


def cut(image, tile, overlap):
    height, width = tile_shape(image.shape, tile)
    corners = tile_corners(image.shape, tile, overlap)
    return np.stack([image[y : y + height, x : x + width] for y, x in corners]), corners


@pytest.mark.parametrize(("shape", "tile", "overlap"), SIZES)
def test_stitching_a_constant_gives_that_constant_up_to_the_rim(shape, tile, overlap):
    tiles, corners = cut(np.full(shape, 0.37, np.float32), tile, overlap)
    np.testing.assert_allclose(stitch(tiles, corners, shape, overlap=overlap), np.float32(0.37), rtol=1e-6)


@pytest.mark.parametrize(("shape", "tile", "overlap"), SIZES)
def test_stitching_the_tiles_of_an_image_gives_the_image(shape, tile, overlap):
    image = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    tiles, corners = cut(image, tile, overlap)
    np.testing.assert_allclose(stitch(tiles, corners, shape, overlap=overlap), image, atol=1e-6)


@pytest.mark.parametrize(("shape", "tile", "overlap"), SIZES)
def test_tiles_lie_inside_and_neighbours_share_at_least_the_overlap(shape, tile, overlap):
    corners = tile_corners(shape, tile, overlap)
    for axis in (0, 1):
        starts = np.unique(corners[:, axis])
        side = tile_shape(shape, tile)[axis]
        assert starts[0] == 0 and starts[-1] + side == shape[axis]
        assert (np.diff(starts) <= side - overlap).all()


def test_two_tiles_fade_into_each_other():
    weight = window((16, 16), 4)[8]
    np.testing.assert_allclose(weight[-4:] + weight[:4], 1.0)


def test_uncovered_pixel_is_an_error():
    with pytest.raises(ValueError, match="do not cover"):
        stitch(np.ones((1, 4, 4), np.float32), np.array([[0, 0]]), (4, 5), overlap=1)
