import numpy as np
import pytest

from crisp_core.simulation.library import extent_of_density
from crisp_core.simulation.shapes import random_blob, random_shell


@pytest.mark.parametrize("seed", range(6))
def test_shells_are_hollow_and_as_wide_as_asked(seed):
    volume = random_shell(26.0, np.random.default_rng(seed))
    density, middle = volume.density, len(volume.density) // 2
    z, y, x = np.mgrid[: len(density), : len(density), : len(density)] - middle
    radius = np.sqrt(x**2 + y**2 + z**2)
    assert density[radius < 3].max() < 0.7 * np.quantile(density, 0.98)
    assert density[radius > 15].max() < 0.05
    # faces of a faceted shell are nearer than its corners
    assert 22 < extent_of_density(density) < 28.5


@pytest.mark.parametrize("seed", range(6))
def test_blobs_are_as_long_as_asked_and_inside_their_box(seed):
    density = random_blob(24.0, np.random.default_rng(seed)).density
    assert extent_of_density(density) == pytest.approx(24, abs=2.5)
    faces = [density[0], density[-1], density[:, 0], density[:, -1], density[:, :, 0], density[:, :, -1]]
    assert max(face.max() for face in faces) < 0.02


def test_shapes_differ_and_repeat():
    first, second = (random_blob(24.0, np.random.default_rng(seed)).density for seed in (1, 2))
    assert first.shape != second.shape or np.abs(first - second).max() > 0.5
    np.testing.assert_array_equal(first, random_blob(24.0, np.random.default_rng(1)).density)
