import numpy as np
import pytest

from crisp_core.simulation.habits import (
    BORDERS,
    DENOISERS,
    LOCAL_CONTRASTS,
    Habits,
    apply_habits,
    border_area,
    quantised,
    unevenly_lit,
)

NOISE = np.random.default_rng(5).standard_normal((192, 200)).astype(np.float32)


def step():
    """A dark square of 40 pixels on a bright ground."""
    image = np.zeros((192, 200), dtype=np.float32)
    image[80:120, 80:120] = -6
    return image


def test_no_habit_changes_nothing():
    filed = apply_habits(NOISE, Habits())
    np.testing.assert_array_equal(filed.image, NOISE)
    assert not filed.covered.any()


def test_lowpass_leaves_the_variance_of_white_noise_behind_a_gaussian():
    image = apply_habits(NOISE, Habits(lowpass_px=2.0)).image
    assert image.var() == pytest.approx(1 / (4 * np.pi * 2.0**2), rel=0.15)


def test_a_file_with_larger_pixels_keeps_the_noise_that_its_pixels_have():
    image = apply_habits(NOISE, Habits(coarse_factor=1.6)).image
    assert image.var() == pytest.approx(1 / 1.6**2, rel=0.05)
    power = np.abs(np.fft.fft2(image)) ** 2
    finest = np.hypot(np.fft.fftfreq(192)[:, None], np.fft.fftfreq(200)) > 0.5 * np.sqrt(2) / 1.6
    assert power[finest].max() < 1e-6 * power.max()


@pytest.mark.parametrize("name", DENOISERS)
@pytest.mark.parametrize("strength", [0.1, 0.9])
def test_denoisers_lessen_noise_and_keep_a_square(name, strength):
    image = apply_habits(step() + NOISE, Habits(denoiser=name, strength=strength)).image
    flat, square = image[10:70, 10:190], image[85:115, 85:115]
    assert flat.std() < 0.65
    assert flat.mean() - square.mean() == pytest.approx(6, abs=0.4)


@pytest.mark.parametrize("name", LOCAL_CONTRASTS)
def test_local_contrast_makes_weak_parts_as_strong_as_others(name):
    weaker = NOISE.copy()
    weaker[:, :100] *= 0.3
    image = apply_habits(weaker, Habits(local_contrast=name, window_px=30)).image
    assert image[:, :80].std() / image[:, 120:].std() > {"deviation": 0.9, "equalisation": 0.33}[name]


def test_light_falls_from_its_centre():
    image = unevenly_lit(NOISE, 0.3, (0.5, 0.5))
    middle, corner = image[80:110, 85:115], image[:15, :15]
    # mean brightness of 6 standard deviations, contrast falls with it
    assert corner.mean() / middle.mean() == pytest.approx(0.75, abs=0.07)
    assert corner.std() / middle.std() == pytest.approx(0.75, abs=0.15)


def test_borders_cover_what_they_say():
    widths = (3, 5, 0, 7)
    covered = border_area(NOISE.shape, widths)
    assert covered.sum() == covered.size - (192 - 8) * (200 - 7)
    images = {name: apply_habits(NOISE, Habits(border=name, border_px=widths)).image for name in BORDERS}
    for image in images.values():
        np.testing.assert_array_equal(image[~covered], NOISE[~covered])
    assert (images["dark"][covered] < NOISE.min()).all()
    np.testing.assert_array_equal(images["streaks"][:3, 50], NOISE[3, 50])
    np.testing.assert_array_equal(images["streaks"][50, -7:], NOISE[50, -8])


def test_8_bit_files_have_256_levels_and_clip_the_tails():
    image = quantised(NOISE, 1.0)
    assert set(np.unique(image)) <= set(range(256))
    assert (image == 0).mean() == pytest.approx(0.01, abs=0.005)
    assert np.corrcoef(image.ravel(), NOISE.ravel())[0, 1] > 0.99
