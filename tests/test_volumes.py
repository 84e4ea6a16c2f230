import numpy as np
import pytest

from crisp_core.volumes import measured_diameter_px, phantom, resampled_volume
from tests.densities import ball


@pytest.mark.parametrize("seed", [1, 2])
def test_phantom_has_d2_symmetry_and_the_asked_diameter(seed):
    volume = phantom(26.0, seed=seed)
    n = len(volume)
    assert volume.shape == (n, n, n) and n % 2 == 0
    assert measured_diameter_px(volume) == pytest.approx(26, abs=1)
    inner = volume[1:, 1:, 1:]
    for turned in (inner[:, ::-1, ::-1], inner[::-1, :, ::-1]):
        np.testing.assert_allclose(turned, inner, atol=2e-3)
    # Box corners and faces are empty, so rotation loses nothing.
    assert abs(volume[0]).max() < 0.01 and volume.min() > -0.01


def test_diameter_of_a_ball_holds_its_mass():
    # 98 % of a solid ball's volume lies within 0.98^(1/3) of its radius.
    assert measured_diameter_px(ball(64, 20, softness=0.1)) == pytest.approx(40 * 0.98 ** (1 / 3), abs=0.6)


@pytest.mark.parametrize("new_pixel_size", [1.3, 2.0, 3.1])
@pytest.mark.parametrize("side", [40, 41])
def test_resampled_ball_has_its_size_its_density_and_its_centre(side, new_pixel_size):
    volume = ball(side, 10, softness=2.0)
    result = resampled_volume(volume, 2.0, new_pixel_size)
    assert len(result) % 2 == 0 and len(set(result.shape)) == 1
    expected = ball(len(result), 10 * 2.0 / new_pixel_size, softness=2.0 * 2.0 / new_pixel_size)
    np.testing.assert_allclose(result, expected, atol=0.03)


def test_resampling_pads_a_box_that_is_not_a_cube():
    volume = ball(40, 8)[4:36, :, 6:34]
    np.testing.assert_allclose(resampled_volume(volume, 1.0, 1.0), ball(40, 8), atol=1e-3)
