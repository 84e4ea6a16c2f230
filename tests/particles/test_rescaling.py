import numpy as np
import pytest

from crisp_core.particles.rescaling import rescale_images
from tests.particles.noise_image import noise


@pytest.mark.parametrize(("box", "new_box"), [(16, 8), (16, 12), (8, 16), (8, 8), (4, 2)])
def test_rescaling_samples_a_band_limited_image_on_the_new_grid(box, new_box):
    rng = np.random.default_rng(1)
    limit = max(min(box, new_box) // 2 - 1, 0)
    steps = range(-limit, limit + 1)
    waves = [(u, v, *rng.normal(size=2)) for u in steps for v in steps if np.hypot(u, v) <= limit]

    def image(size):
        y, x = np.mgrid[:size, :size] / size
        return sum(a * np.cos(2 * np.pi * (u * x + v * y) + phase) for u, v, a, phase in waves)

    rescaled = rescale_images(image(box)[None], new_box)
    np.testing.assert_allclose(rescaled[0], image(new_box), atol=1e-4)


def test_enlarging_and_reducing_again_changes_no_frequency_within_the_circle():
    stack = noise((3, 12, 12))
    once = rescale_images(rescale_images(stack, 24), 12)
    frequencies = np.fft.fftfreq(12, 1 / 12)
    circle = np.hypot(*np.meshgrid(frequencies, frequencies)) < 6
    np.testing.assert_allclose(np.fft.fft2(once)[:, circle], np.fft.fft2(stack)[:, circle], atol=1e-4)
