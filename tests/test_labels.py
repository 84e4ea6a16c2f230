from pathlib import Path

import numpy as np
import pytest
import skimage.filters
import yaml

from crisp_core.errors import UserError
from crisp_core.labels import GLOBAL_THRESHOLDS, LOCAL_THRESHOLDS, THRESHOLDS, disc_label, threshold_label


def blobs(seed=0, n=96):
    """Bright Gaussian blobs on a dark ground, and the mask of their cores."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:n, :n]
    image = sum(np.exp(-((x - a) ** 2 + (y - b) ** 2) / 50) for a, b in ((20, 20), (70, 30), (40, 75)))
    return (image + rng.normal(0, 0.01, image.shape)).astype(np.float32), image


@pytest.mark.parametrize("method", GLOBAL_THRESHOLDS)
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


def test_li_on_a_large_image_of_floats_ends():
    image = np.random.default_rng(0).gamma(0.3, size=(1024, 1024)).astype(np.float32)
    assert 0 < threshold_label(image).mean() < 0.5


def test_image_without_particles_is_all_background():
    assert threshold_label(np.zeros((8, 8), np.float32)).sum() == 0


@pytest.mark.parametrize(("n", "radius"), [(0, 3.0), (1, 0.4), (7, 4.7), (12, 9.0)])
def test_discs_equal_the_distance_to_the_nearest_centre(n, radius):
    shape = (40, 57)
    xy = np.random.default_rng(n).uniform(-6, 60, (n, 2))
    y, x = np.mgrid[: shape[0], : shape[1]]
    distance = np.min([np.hypot(x - a, y - b) for a, b in xy] + [np.full(shape, np.inf)], axis=0)
    label = disc_label(shape, xy, radius_px=radius)
    assert label.dtype == np.uint8
    np.testing.assert_array_equal(label, distance <= radius)


def test_unknown_threshold_is_refused_with_the_known_ones():
    with pytest.raises(UserError, match=r"^threshold: lee is not one; give one of li, otsu, yen, "):
        threshold_label(blobs()[0], method="lee")


def test_threshold_that_does_not_exist_is_refused():
    ramp = np.tile(np.arange(64, dtype=np.float32), (64, 1))
    with pytest.raises(UserError, match=r"^threshold: minimum finds none \(.+\); choose another, for instance li$"):
        threshold_label(ramp, method="minimum")


def test_the_schema_offers_the_thresholds_that_exist():
    schema = yaml.safe_load((Path(__file__).parents[1] / "rules/schemas/config.schema.yaml").read_text())
    assert tuple(schema["$defs"]["simulation"]["properties"]["threshold"]["enum"]) == THRESHOLDS
