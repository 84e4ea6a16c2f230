import numpy as np
import pytest

from crisp_core.errors import UserError
from crisp_core.formats.coordinates.origin import check_origin, origin_contrast, origin_statistic


def spots(sign, *, n=60, seed=0):
    """Discs of contrast `sign` on noise; their centres are not symmetric under a flip."""
    rng = np.random.default_rng(seed)
    image = rng.normal(size=(300, 400))
    xy = np.stack([rng.integers(20, 380, n), rng.integers(20, 280, n)], axis=1)
    rows, columns = np.mgrid[:300, :400]
    for x, y in xy:
        image[np.hypot(rows - y, columns - x) <= 5] += sign
    return image, xy


def test_contrast_equals_a_brute_force_mean():
    image, xy = spots(-1.0)
    x, y = xy[0]
    rows, columns = np.mgrid[:300, :400]
    distance = np.hypot(rows - y, columns - x)
    expected = image[distance <= 4].mean() - image[(distance > 4) & (distance <= 8)].mean()
    contrast = origin_contrast(image, xy[:1], radius_px=8)
    np.testing.assert_allclose(contrast, expected / image.std(), rtol=1e-12)


def test_contrast_at_the_edge_repeats_the_nearest_pixel():
    image, _ = spots(1.0)
    padded = np.pad(image, 10, mode="edge")
    inner = origin_contrast(padded, np.array([[10, 10], [409, 309]]), radius_px=8) * padded.std()
    np.testing.assert_allclose(origin_contrast(image, [[0, 0], [399, 299]], radius_px=8) * image.std(), inner)


@pytest.mark.parametrize("sign", [-2.0, 2.0])
def test_wrong_origin_is_refused_for_dark_and_bright_particles(sign):
    image, xy = spots(sign)
    right = origin_contrast(image, xy, radius_px=8)
    wrong = origin_contrast(image, np.stack([xy[:, 0], 299 - xy[:, 1]], axis=1), radius_px=8)
    check_origin(right, wrong, source="m.csv")
    with pytest.raises(UserError, match=r"m\.csv: its coordinates fit the micrographs upside down .*; set origin to"):
        check_origin(wrong, right, source="m.csv")


def test_nothing_is_refused_without_evidence():
    image, _ = spots(0.0, n=0)
    rng = np.random.default_rng(1)
    for _ in range(20):
        stated, flipped = (origin_contrast(image, rng.uniform(0, 299, (50, 2)), radius_px=8) for _ in range(2))
        check_origin(stated, flipped, source="m.csv")
    for n in (0, 1):
        assert origin_statistic(np.zeros(n), np.full(n, 9.0)) == 0
    assert origin_statistic(np.zeros(5), np.zeros(5)) == 0
