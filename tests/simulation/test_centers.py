import numpy as np
import pytest
from scipy.spatial.distance import pdist

from crisp_core.errors import UserError
from crisp_core.simulation.centers import draw_centers, draw_rotations


def test_rotations_are_uniform():
    rot, tilt, psi = draw_rotations(20_000, np.random.default_rng(0)).T
    for angle in (rot, psi):
        assert abs(np.exp(1j * np.radians(angle)).mean()) < 0.03
    # The view direction is uniform on the sphere: every coordinate has mean 0 and variance 1/3.
    assert np.cos(np.radians(tilt)).mean() == pytest.approx(0, abs=0.02)
    assert np.cos(np.radians(tilt)).var() == pytest.approx(1 / 3, abs=0.01)


def test_centers_keep_their_distance_and_their_margin():
    xy = draw_centers((300, 500), 80, min_distance_px=20.0, margin_px=12.0, rng=np.random.default_rng(0))
    assert xy.shape == (80, 2)
    assert pdist(xy).min() >= 20
    assert (xy >= 12).all() and (xy <= [499 - 12, 299 - 12]).all()
    assert draw_centers((9, 9), 0, min_distance_px=1, margin_px=20, rng=np.random.default_rng(0)).shape == (0, 2)


def test_centers_that_do_not_fit_are_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(
        UserError, match=r"^simulation: 50 particles at least 40\.0 px apart do not fit into 100 × 100 "
    ):
        draw_centers((100, 100), 50, min_distance_px=40, margin_px=0, rng=rng)
    with pytest.raises(UserError) as error:
        draw_centers((100, 60), 1, min_distance_px=5, margin_px=30, rng=rng)
    assert str(error.value) == (
        "simulation/shape_px: a particle with its margin of 30 px does not fit into 60 × 100 pixels; increase it"
    )
