import numpy as np
import pytest

from crisp_core.picking.finders.finder import FinderMap
from crisp_core.picking.splitting import split_merged
from tests.picking.discs import discs, scattered

D = 26.0


@pytest.mark.parametrize("factor", [1, 3])
def test_only_the_large_outline_is_split_into_its_halves(factor):
    places = scattered(9, 240, 1.6 * D, margin=30, seed=1)
    image = discs((240, 240), places, D)
    x, y = places[4]
    wide = discs((240, 240), [[x - 6, y - 4], [x + 6, y + 4]], D)
    image = np.kron(np.maximum(image, wide), np.ones((factor, factor), np.float32))
    fine = (places + 0.5) * factor - 0.5
    xy = split_merged(FinderMap(image, factor * D).depths, fine)
    assert len(xy) == 10
    np.testing.assert_array_equal(xy[:8], np.delete(fine, 4, axis=0))
    assert xy[8:].mean(axis=0) == pytest.approx(fine[4], abs=0.6 * factor)
    assert abs(np.diff(xy[8:], axis=0)[0] @ [4, -6]) < 12 * factor


def test_equal_outlines_and_empty_input_stay_as_they_are():
    places = scattered(9, 240, 1.2 * D, margin=30, seed=1)
    depths = FinderMap(discs((240, 240), places, D), D).depths
    np.testing.assert_array_equal(split_merged(depths, places), places)
    np.testing.assert_array_equal(split_merged(depths, places[:1] + 100), places[:1] + 100)
    assert split_merged(depths, np.zeros((0, 2))).shape == (0, 2)
    nothing = FinderMap(np.zeros((240, 240), np.float32), D).depths
    np.testing.assert_array_equal(split_merged(nothing, places), places)


def test_centres_outside_of_all_outlines_are_kept():
    places = np.array([[40.0, 40.0], [100.0, 40.0], [200.0, 200.0]])
    depths = FinderMap(discs((240, 240), places[:2], D), D).depths
    np.testing.assert_array_equal(split_merged(depths, places), places)


@pytest.mark.parametrize("shape", [(25, 25), (26, 18)])
def test_a_single_particle_that_is_larger_than_most_stays_whole(shape):
    """Discs of a diameter, and a particle of 150 x 110 on its side, among views or neighbours of other sizes."""
    places = scattered(9, 300, 1.6 * D, margin=30, seed=1)
    small = 14 if shape[0] == shape[1] else shape[1]
    image = discs((300, 300), places[1:], small)
    x, y = np.rint(places[0]).astype(int)
    grid = np.abs(np.mgrid[:300, :300] - np.array([y, x])[:, None, None]) / np.array(shape)[:, None, None] * 2
    wide = np.hypot(*grid) < 1 if shape[0] == shape[1] else grid.max(axis=0) < 1
    depths = FinderMap(np.maximum(image, wide.astype(np.float32)), D).depths
    np.testing.assert_array_equal(split_merged(depths, places), places)
