"""Measures of a micrograph's image: ice, contaminants and drift with known answers."""

import numpy as np
import pytest
import scipy
from PIL import Image
from scipy import ndimage

from crisp_core.evaluation.image_quality import (
    dark_share,
    gaussian,
    ice_ring,
    ice_ring_of_file,
    ice_signal,
    image_measures,
    power_direction,
)
from crisp_core.evaluation.settings import CurationSettings

NONE = np.zeros((256, 320), dtype=bool)


def noise(shape=(256, 320), seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def waves(shape, length_px, angle_deg, amplitude=1.0):
    y, x = np.mgrid[: shape[0], : shape[1]]
    angle = np.deg2rad(angle_deg)
    return amplitude * np.sin(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / length_px)


def test_power_of_waves_has_their_direction_and_noise_has_none():
    assert power_direction(noise()) < 0.03
    assert power_direction(waves((256, 320), 5, 30)) > 0.8
    # two directions at a right angle cancel
    crossed = waves((256, 256), 5, 30) + waves((256, 256), 5, 120)
    assert power_direction(crossed) < 0.1
    # as drift by 6 px leaves it
    drifted = np.apply_along_axis(lambda row: np.convolve(row, np.ones(6) / 6, "same"), 1, noise())
    assert power_direction(drifted) > 0.2


@pytest.mark.parametrize(
    ("name", "added"),
    [
        ("mottle", waves((256, 320), 40, 20)),
        ("ice_gradient", waves((256, 320), 600, 70, 0.5)),
    ],
)
def test_waves_are_seen_by_the_measure_of_their_length_alone(name, added):
    usable = np.ones((256, 320), dtype=bool)
    plain, changed = (
        image_measures(image, usable, diameter_px=25, particle=NONE) for image in (noise(), noise() + added)
    )
    assert changed[name] > 3 * plain[name]
    others = {"mottle", "direction"} - {name}
    assert all(changed[other] < plain[other] + 0.25 for other in others)
    # no unit and no offset counts
    scaled = image_measures(7 + 3 * (noise() + added), usable, diameter_px=25, particle=NONE)
    assert scaled == pytest.approx(changed, rel=1e-3, abs=1e-3)


def test_unusable_area_does_not_count():
    usable = np.ones((256, 320), dtype=bool)
    usable[:, 200:] = False
    image = noise()
    film = np.where(usable, image, -40.0)
    plain, masked = (image_measures(each, usable, diameter_px=25, particle=NONE) for each in (image, film))
    assert masked == pytest.approx(plain, abs=0.05)
    assert image_measures(film, np.ones_like(usable), diameter_px=25, particle=NONE)["ice_gradient"] > 5
    assert all(
        np.isnan(value) for value in image_measures(image, usable & False, diameter_px=25, particle=NONE).values()
    )


def test_the_gaussian_filter_agrees_with_scipy():
    for sigma in (1.5, 12.0):
        assert np.allclose(gaussian(noise(), sigma), ndimage.gaussian_filter(noise(), sigma), atol=1e-3)


def test_blotches_in_one_corner_are_patchy_and_everywhere_are_not():
    blotches = waves((256, 320), 40, 20, 3.0)
    corner = np.where(np.add.outer(np.arange(256), np.arange(320)) < 250, blotches, 0)
    everywhere, in_place = (
        image_measures(noise() + each, ~NONE, diameter_px=25, particle=NONE)["patchiness"]
        for each in (blotches, corner)
    )
    limit = CurationSettings().patchiness_max
    assert everywhere < 1.5 < limit < in_place


def test_dark_objects_are_contaminants_unless_a_particle_is_predicted_there():
    y, x = np.mgrid[:256, :320]
    disc = np.hypot(y - 100, x - 120) < 20
    image = noise() - 5 * disc
    assert 0.7 < dark_share(image, ~NONE, NONE, 25) / disc.mean() < 2
    assert dark_share(image, ~NONE, disc, 25) == dark_share(noise(), ~NONE, NONE, 25) == 0
    # bright objects are no contaminants
    assert dark_share(-image, ~NONE, NONE, 25) < 0.2 * disc.mean()


def test_counting_noise_has_no_ice_signal():
    assert ice_signal(noise(), ~NONE, 25) == pytest.approx(1, abs=0.1)
    assert ice_signal(noise() + 3 * ndimage.gaussian_filter(noise(seed=1), 1.5), ~NONE, 25) > 1.5
    assert np.isnan(ice_signal(noise(), NONE, 25))


def ring(shape, pixel_size, resolution, width=0.004):
    """Noise whose power is in a ring at a resolution in Å."""
    spectrum = scipy.fft.rfft2(noise(shape, seed=2))
    radius = np.hypot(scipy.fft.fftfreq(shape[0])[:, None], scipy.fft.rfftfreq(shape[1])) / pixel_size
    return scipy.fft.irfft2(spectrum * (np.abs(radius - 1 / resolution) < width), s=shape)


def test_crystalline_ice_has_a_ring_at_3_7_angstrom():
    shape, limits = (1100, 1040), CurationSettings().ice_ring_max
    assert ice_ring(noise(shape), 1.1) == pytest.approx(1, abs=0.05)
    # a falling spectrum, as of a detector, is no ring
    assert ice_ring(ndimage.gaussian_filter(noise(shape), 0.7), 1.1) == pytest.approx(1, abs=0.2)
    assert ice_ring(noise(shape) + 3 * ring(shape, 1.1, 3.67), 1.1) > limits[1]
    assert ice_ring(noise(shape) + 3 * ring(shape, 1.1, 6.0), 1.1) < limits[0]
    assert np.isnan(ice_ring(noise(shape), 1.6))
    assert np.isnan(ice_ring(noise(), 1.1))


def test_a_file_that_cannot_be_read_has_no_ring(tmp_path):
    assert np.isnan(ice_ring_of_file(tmp_path / "gone.mrc", "gone", 1.1))


@pytest.mark.real
def test_crystalline_ice_is_mottled_everywhere_and_good_ice_is_not(shared_data):
    found, settings = {}, CurationSettings()
    for path in sorted((shared_data / "micassess").glob("[014]*/*.png")):
        image = np.asarray(Image.open(path).convert("L"), dtype=float)
        none = np.zeros(image.shape, dtype=bool)
        found.setdefault(path.parent.name[0], []).append(image_measures(image, ~none, diameter_px=15, particle=none))
    assert max(each["mottle"] for each in found["0"] + found["1"]) < settings.mottle_max[0]
    assert min(each["mottle"] for each in found["4"]) > settings.mottle_max[1]
    assert max(each["patchiness"] for each in found["4"]) < settings.patchiness_max
