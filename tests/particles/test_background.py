import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crisp_core.particles.background import normalize_background
from crisp_core.particles.extraction import extract_particles
from tests.particles.noise_image import noise


def test_normalising_equals_a_least_squares_plane_per_particle():
    stack = noise((4, 16, 16)) + 5 + 0.3 * np.arange(16) + 0.1 * np.arange(16)[:, None]
    y, x = np.mgrid[-8:8, -8:8]
    background = np.hypot(y, x) > 6
    normal_stack, normal = normalize_background(stack, bg_radius_px=6)
    assert normal.all()
    for particle, result in zip(stack, normal_stack, strict=True):
        design = np.stack([x[background], y[background], np.ones(background.sum())], axis=1)
        (a, b, c), *_ = np.linalg.lstsq(design, particle[background].astype(float), rcond=None)
        flat = particle - (a * x + b * y + c)
        np.testing.assert_allclose(result, flat / flat[background].std(), atol=1e-5)
        assert result[background].mean() == pytest.approx(0, abs=1e-5)
        assert result[background].std() == pytest.approx(1, abs=1e-5)


@settings(max_examples=25, deadline=None)
@given(scale=st.floats(0.01, 1000), offset=st.floats(-100, 100), slope=st.floats(-5, 5))
def test_normalising_forgets_scale_offset_and_tilt(scale, offset, slope):
    stack = noise((2, 16, 16)).astype(float)
    tilted = stack * scale + scale * (offset + slope * np.arange(16))
    expected, _ = normalize_background(stack, bg_radius_px=6)
    np.testing.assert_allclose(normalize_background(tilted, bg_radius_px=6)[0], expected, atol=1e-3)


@pytest.mark.parametrize("value", [0.0, 7.0, -1e6])
def test_constant_background_is_reported_and_not_nan(value):
    image = np.full((40, 60), value, np.float32)
    image[:, 30:] = noise()[:, 30:]
    extracted = extract_particles(image, [[10, 20], [45, 20], [500, 20]], box_px=16, bg_radius_px=6)
    assert list(extracted.reasons) == ["constant background", "", "box wholly outside the micrograph"]
    assert extracted.stack.shape == (1, 16, 16) and np.isfinite(extracted.stack).all()


def test_an_exact_plane_is_a_constant_background_too():
    ramp = 1000 + np.add.outer(np.arange(40), 3 * np.arange(60)).astype(np.float32)
    extracted = extract_particles(ramp, [[20, 20]], box_px=16, bg_radius_px=6)
    assert list(extracted.reasons) == ["constant background"] and extracted.stack.shape == (0, 16, 16)
