"""No two picks are nearer than a third of a diameter, and there is no limit to their number."""

import numpy as np
import pandas as pd
import pytest

from crisp_core.picking.finders import FINDERS
from crisp_core.picking.search import find_centers
from crisp_core.picking.spacing import DUPLICATE_DIAMETERS, check_no_duplicates, n_duplicates, suppressed
from tests.picking.discs import discs

D = 26.0


def test_the_worse_of_a_close_pair_is_suppressed_and_spares_its_other_neighbour():
    # the second is close to the first, the third to the second alone
    xy = np.array([[0.0, 0.0], [3.0, 0.0], [6.0, 0.0], [50.0, 0.0]])
    assert suppressed(xy, 4.0).tolist() == [False, True, False, False]
    assert not suppressed(xy, 3.0).any() and not suppressed(xy[:1], 4.0).any()


def test_pairs_are_counted_within_a_micrograph_alone():
    picks = pd.DataFrame({"micrograph": ["a", "a", "b"], "x": [0.0, 8.0, 1.0], "y": 0.0})
    assert n_duplicates(picks, diameter_px=25) == 1
    assert n_duplicates(picks, diameter_px=24) == n_duplicates(picks.iloc[:0], diameter_px=24) == 0
    check_no_duplicates(picks, diameter_px=24)
    with pytest.raises(AssertionError, match="1 pairs are nearer than a third of a particle diameter"):
        check_no_duplicates(picks, diameter_px=25)


@pytest.mark.parametrize("name", FINDERS)
def test_no_finder_returns_two_centers_of_one_particle(name):
    rng = np.random.default_rng(4)
    # crowded and noisy: discs that overlap in all ways, and blobs without a particle
    image = discs((320, 320), rng.uniform(0, 320, (90, 2)), D)
    image = np.clip(0.8 * image + 0.25 * rng.normal(size=image.shape), 0, 1)
    found = find_centers(image.astype(np.float32), FINDERS[name](), diameter_px=D)
    assert len(found) > 30
    assert n_duplicates(found.assign(micrograph="m"), diameter_px=D) == 0
    assert DUPLICATE_DIAMETERS == pytest.approx(1 / 3)


def test_the_number_of_picks_has_no_limit():
    image = np.tile(discs((16, 16), [[8, 8]], 12.0), (60, 60))
    assert len(find_centers(image, FINDERS["nms"](), diameter_px=12.0)) == 3600
