import time
from typing import get_args

import numpy as np
import pytest
import skimage.filters
from scipy import ndimage

from crisp_core.errors import UserError
from crisp_core.labels.discs import disc_label
from crisp_core.labels.thresholds import (
    GLOBAL_THRESHOLDS,
    LOCAL_THRESHOLDS,
    THRESHOLDS,
    local_window_px,
    threshold_label,
)
from crisp_core.simulation.micrograph import simulate_micrograph
from crisp_core.simulation.settings import Threshold
from crisp_core.simulation.volumes import phantom


def blobs(seed=0, n=96):
    """Bright Gaussian blobs on a dark ground, and the mask of their cores."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:n, :n]
    image = sum(np.exp(-((x - a) ** 2 + (y - b) ** 2) / 50) for a, b in ((20, 20), (70, 30), (40, 75)))
    return (image + rng.normal(0, 0.01, image.shape)).astype(np.float32), image


@pytest.mark.parametrize("method", [m for m in GLOBAL_THRESHOLDS if m not in ("multiotsu", "hysteresis")])
def test_global_threshold_is_scikit_images(method):
    image, _ = blobs()
    label = threshold_label(image, method=method)
    expected = getattr(skimage.filters, f"threshold_{method}")(image)
    assert label.dtype == np.uint8
    # Li iterates to a tolerance of a thousandth of the standard deviation: only pixels that near may differ.
    clear = abs(image - expected) > 2e-3 * image.std()
    np.testing.assert_array_equal(label[clear], (image > expected)[clear])


@pytest.mark.parametrize("method", LOCAL_THRESHOLDS)
def test_local_threshold_labels_cores_and_is_not_one_number(method):
    image, clean = blobs()
    assert threshold_label(image, method=method, window_px=31)[clean > 0.9].all()


def test_every_threshold_of_scikit_image_is_offered():
    names = {name.removeprefix("threshold_") for name in dir(skimage.filters) if name.startswith("threshold_")}
    assert names | {"hysteresis"} == set(THRESHOLDS)


def test_multiotsu_takes_all_but_the_darkest_class_and_hysteresis_what_of_it_touches_the_brightest():
    image, _ = blobs()
    image[5:9, 80:90] = 0.5
    low, high = skimage.filters.threshold_multiotsu(image)
    np.testing.assert_array_equal(threshold_label(image, method="multiotsu"), image > low)
    parts, n_parts = ndimage.label(image > low)
    expected = np.isin(parts, [part for part in range(1, n_parts + 1) if image[parts == part].max() > high])
    np.testing.assert_array_equal(threshold_label(image, method="hysteresis"), expected)
    assert threshold_label(image, method="multiotsu")[6, 85] and not threshold_label(image, method="hysteresis")[6, 85]


@pytest.fixture(scope="module")
def large_simulation():
    """Projections of the phantom on 2048² pixels, without CTF and noise."""
    lens = {"voltage_kv": 300.0, "spherical_aberration_mm": 2.7, "amplitude_contrast": 0.1}
    options = {"n_particles": (150, 150), "min_distance_angstrom": 150, "margin_angstrom": 90, "optics": lens}
    options |= {"defocus_angstrom": [16060], "snr": 0.005, "snr_pixel_size": 1.77, "name": "a", "seed": 1}
    volume = phantom(180 / 3.54, seed=1)
    return simulate_micrograph(volume, shape=(2048, 2048), pixel_size=3.54, **options)


@pytest.mark.slow
@pytest.mark.parametrize("method", THRESHOLDS)
def test_every_threshold_ends_on_2048_by_2048_floats_and_finds_the_particles(large_simulation, method):
    start = time.process_time()
    diameter_px = 180 / 3.54
    label = threshold_label(large_simulation.ctf_free, method=method, window_px=local_window_px(diameter_px))
    assert time.process_time() - start < 20
    xy = large_simulation.coordinates[["x", "y"]].to_numpy()
    near, far = (disc_label(label.shape, xy, radius_px=share * diameter_px).astype(bool) for share in (0.2, 0.55))
    # Their outlines differ, but none takes the empty ice for particles, the local ones neither, or leaves one out.
    assert not (label.astype(bool) & ~far).any()
    cores, n_cores = ndimage.label(near)
    if method == "minimum":
        # The valley between two peaks of the histogram: where thick parts make a second peak, only those are labelled.
        return
    assert ndimage.maximum(label, cores, index=range(1, n_cores + 1)).min() == 1


@pytest.mark.parametrize(("diameter", "window"), [(10, 15), (10.9, 17), (0.5, 3)])
def test_local_window_is_odd_and_one_and_a_half_diameters(diameter, window):
    assert local_window_px(diameter) == window


def test_li_on_a_large_image_of_floats_ends():
    image = np.random.default_rng(0).gamma(0.3, size=(1024, 1024)).astype(np.float32)
    assert 0 < threshold_label(image).mean() < 0.5


def test_image_without_particles_is_all_background():
    assert threshold_label(np.zeros((8, 8), np.float32)).sum() == 0


def test_unknown_threshold_is_refused_with_the_known_ones():
    with pytest.raises(UserError, match=r"^threshold: lee is unknown; give one of li, otsu, yen, "):
        threshold_label(blobs()[0], method="lee")


def test_threshold_that_does_not_exist_is_refused():
    ramp = np.tile(np.arange(64, dtype=np.float32), (64, 1))
    with pytest.raises(UserError, match=r"^threshold: minimum fails \(.+\); choose another, such as li$"):
        threshold_label(ramp, method="minimum")


def test_the_schema_offers_the_thresholds_that_exist():
    assert get_args(Threshold) == THRESHOLDS
