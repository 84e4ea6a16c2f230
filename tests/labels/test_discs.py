import numpy as np
import pytest

from crisp_core.labels.discs import disc_label


@pytest.mark.parametrize(("n", "radius"), [(0, 3.0), (1, 0.4), (7, 4.7), (12, 9.0)])
def test_discs_equal_the_distance_to_the_nearest_centre(n, radius):
    shape = (40, 57)
    xy = np.random.default_rng(n).uniform(-6, 60, (n, 2))
    y, x = np.mgrid[: shape[0], : shape[1]]
    distance = np.min([np.hypot(x - a, y - b) for a, b in xy] + [np.full(shape, np.inf)], axis=0)
    label = disc_label(shape, xy, radius_px=radius)
    assert label.dtype == np.uint8
    np.testing.assert_array_equal(label, distance <= radius)
