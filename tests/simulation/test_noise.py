import numpy as np
import pytest

from crisp_core.simulation.noise import colour_noise, draw_grain, draw_uneven_ice


def radial_mean(power):
    frequency = np.hypot(np.fft.fftfreq(len(power))[:, None], np.fft.fftfreq(len(power)))
    ring = np.rint(frequency * len(power)).astype(int).ravel()
    return (np.bincount(ring, power.ravel()) / np.bincount(ring))[: len(power) // 2]


def test_coloured_noise_has_the_stated_spectrum_and_the_variance_of_the_white():
    white = np.random.default_rng(0).normal(0, 3, (512, 512)).astype(np.float32)
    noise = colour_noise(white, pixel_size=2.0, coloured_share=0.4, length_angstrom=100.0, falloff_angstrom=4.0)
    assert noise.std() == pytest.approx(white.std(), rel=1e-3)
    # Divided ring by ring by the white noise's own power, chance is gone.
    ratio = radial_mean(np.abs(np.fft.fft2(noise)) ** 2) / radial_mean(np.abs(np.fft.fft2(white)) ** 2)
    s = np.arange(256) / 512 / 2.0
    full = np.hypot(np.fft.fftfreq(512, 2.0)[:, None], np.fft.fftfreq(512, 2.0))
    share = 0.4 / ((1 + (100 * full) ** 2) ** -1.5).mean()
    expected = (share * (1 + (100 * s) ** 2) ** -1.5 + 0.6) * np.exp(-((4 * s) ** 2))
    np.testing.assert_allclose((ratio / expected)[8:] / (ratio / expected)[8:].mean(), 1, rtol=0.05)
    # From 1/100 Å on, the falling part loses a factor of eight per octave.
    assert (expected[100] - 0.6 * np.exp(-((4 * s[100]) ** 2))) < 0.13 * (expected[50] - 0.6)


def test_noise_that_is_not_to_be_coloured_is_left_alone():
    white = np.random.default_rng(0).standard_normal((16, 16), dtype=np.float32)
    assert colour_noise(white, pixel_size=2.0, coloured_share=0, length_angstrom=100.0, falloff_angstrom=0) is white


def test_uneven_ice_is_slow_and_has_unit_variance():
    fields = [draw_uneven_ice((256, 256), length_px=32.0, rng=np.random.default_rng(i)) for i in range(40)]
    assert np.mean(np.square(fields)) == pytest.approx(1, abs=0.15)
    window = np.hanning(256)[:, None] * np.hanning(256)
    power = np.mean([radial_mean(np.abs(np.fft.fft2(field * window)) ** 2) for field in fields], axis=0)
    assert power[12:].max() < 1e-3 * power[:8].max()


def test_grain_is_the_same_material_at_every_pixel_size():
    fine = draw_grain((512, 512), 0.7, 6.0 / 1.5, np.random.default_rng(0))
    coarse = draw_grain((256, 256), 0.7, 6.0 / 6.0, np.random.default_rng(0))
    assert fine.std() == pytest.approx(0.7, rel=0.03)
    # Power per area at 1 / 100 Å to 1 / 50 Å
    fine_power = radial_mean(np.abs(np.fft.fft2(fine)) ** 2)[8:16].mean() * 1.5**2 / 512**2
    coarse_power = radial_mean(np.abs(np.fft.fft2(coarse)) ** 2)[16:31].mean() * 6.0**2 / 256**2
    assert coarse_power == pytest.approx(fine_power, rel=0.15)
