import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from crisp_core.errors import UserError
from crisp_core.geometry import rescaled_xy
from crisp_core.preparation.normalization import (
    brighter_component,
    fourier_resample,
    gaussian_mixture,
    highpass,
    normalize_image,
    prepare,
    resample_mask,
    robust,
    valid_area,
)

ROOT = Path(__file__).parents[2]


def waves(shape, n_samples, seed=0):
    """Sum of cosines of few periods per image, sampled on a grid of `n_samples`: exact on every finer grid."""
    rng = np.random.default_rng(seed)
    y = np.arange(n_samples[0])[:, None] / n_samples[0]
    x = np.arange(n_samples[1])[None] / n_samples[1]
    image = np.full(n_samples, 3.0)
    for _ in range(12):
        ky, kx = rng.integers(-(shape[0] // 2) + 1, shape[0] // 2), rng.integers(0, shape[1] // 2)
        image += rng.normal() * np.cos(2 * np.pi * (ky * y + kx * x) + rng.uniform(0, 6))
    return image


def mixture(n=400_000, seed=0):
    """Background N(10, 2²) with 15 % of darker pixels, N(4, 2²)."""
    rng = np.random.default_rng(seed)
    return rng.normal(np.where(rng.random(n) < 0.15, 4.0, 10.0), 2.0)


@pytest.mark.parametrize("new_shape", [(20, 24), (21, 24), (20, 25), (21, 25), (64, 24), (64, 81)])
def test_downsampling_a_band_limited_image_samples_it(new_shape):
    low = (20, 24)
    image = waves(low, (64, 81))
    small = fourier_resample(image, new_shape)
    assert small.shape == new_shape and small.dtype == np.float32
    np.testing.assert_allclose(small, waves(low, new_shape), atol=2e-5)


def test_downsampling_keeps_the_mean_and_scales_coordinates_by_the_shapes():
    y, x = np.mgrid[:120, :160]
    image = np.exp(-((x - 61.0) ** 2 + (y - 42.5) ** 2) / (2 * 9.0**2))
    small = fourier_resample(image, (30, 40))
    assert small.mean() == pytest.approx(image.mean(), rel=1e-5)
    rows, columns = np.mgrid[:30, :40]
    centre = np.array([[np.sum(small * columns), np.sum(small * rows)]]) / small.sum()
    np.testing.assert_allclose(centre, rescaled_xy([[61.0, 42.5]], (120, 160), (30, 40)), atol=1e-3)


def test_white_noise_loses_the_square_of_the_factor_in_variance():
    noise = np.random.default_rng(0).normal(size=(1024, 1024))
    assert fourier_resample(noise, (256, 256)).var() == pytest.approx(1 / 16, rel=0.03)


@pytest.mark.parametrize("new_shape", [(64, 81), (40, 48), (41, 49), (21, 60)])
def test_an_enlarged_image_is_the_same_band_limited_image(new_shape):
    low = (19, 23)
    np.testing.assert_allclose(fourier_resample(waves(low, (20, 24)), new_shape), waves(low, new_shape), atol=2e-5)


def test_an_enlarged_image_is_prepared_like_a_fine_one():
    fine, coarse = waves((19, 23), (100, 120)), waves((19, 23), (50, 60))
    coarse[:6] = 0
    prepared = prepare(coarse, 8.0, working_pixel_size=4.0, normalization="robust")
    assert prepared.image.shape == fine.shape and prepared.pixel_size == pytest.approx(4.0)
    # five of six equal rows are copies
    assert not prepared.valid[:10].any() and prepared.valid[16:].all()


def test_an_image_that_is_too_coarse_is_refused():
    with pytest.raises(UserError, match=r"10 Å/px is more than 2\.5 times as coarse as working_pixel_size 3;"):
        prepare(np.zeros((64, 64), np.float32), 10.0, working_pixel_size=3.0)


def test_coarse_mask_is_valid_where_all_of_its_pixels_are():
    mask = np.ones((12, 12), bool)
    mask[0], mask[:, 7] = False, False
    # Pixels of the coarse grid lie on 0, 4, 8 and cover 2 on either side.
    np.testing.assert_array_equal(resample_mask(mask, (3, 3)), [[0, 0, 0], [1, 1, 0], [1, 1, 0]])
    assert resample_mask(np.ones((10, 13), bool), (7, 5)).all()


@given(st.integers(2, 60), st.integers(1, 60), st.integers(0, 2**20))
def test_a_coarse_pixel_is_valid_as_defined_at_any_factor(n, n_new, seed):
    n_new = min(n, n_new)
    mask = np.random.default_rng(seed).uniform(size=(1, n)) < 0.8
    position, factor = np.arange(n), n / n_new
    # from half a new pixel before its middle to half a new pixel behind, which belongs to the next
    expected = []
    for number in range(n_new):
        ends = np.inf if number == n_new - 1 else (number + 0.5) * factor
        inside = (position >= (number - 0.5) * factor - 1e-9) & (position < ends - 1e-9)
        expected.append(bool(mask[0, inside].all()))
    assert list(resample_mask(mask, (1, n_new))[0]) == expected


def test_a_pixel_of_a_finer_grid_is_its_nearest():
    assert resample_mask(np.array([[True, False]]), (1, 3)).tolist() == [[True, False, False]]
    assert resample_mask(np.array([[True, False, True]]), (1, 6)).tolist() == [[True, True, False, False, True, True]]


def test_a_thumbnail_smaller_than_a_block_is_prepared_or_refused_with_a_line():
    image = np.random.default_rng(1).normal(size=(14, 14)).astype(np.float32)
    assert prepare(image, 12.0, working_pixel_size=12.0).image.shape == (14, 14)


@pytest.mark.parametrize("factor", [1, 2, 3, 5])
def test_an_invalid_pixel_masks_the_coarse_pixel_that_contains_it(factor):
    for column in range(factor * 8):
        mask = np.ones((1, factor * 8), bool)
        mask[0, column] = False
        # the middle of a coarse pixel is on its first fine one; beyond the last middle there is no other
        inside = min(int((column + factor / 2) // factor), 7)
        assert list(np.flatnonzero(~resample_mask(mask, (1, 8))[0])) == [inside]


def test_mixture_finds_the_background_and_not_the_particles():
    scale = gaussian_mixture(mixture())
    assert scale.mean == pytest.approx(10, abs=0.1)
    assert scale.sd == pytest.approx(2, abs=0.06)


def test_mixture_follows_units_and_repeats_itself():
    values = mixture(50_000)
    scale, again, scaled = gaussian_mixture(values), gaussian_mixture(values), gaussian_mixture(1000 * values - 7)
    assert scale == again
    assert scaled == pytest.approx((1000 * scale.mean - 7, 1000 * scale.sd), rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["background and particles", "one component", "skewed", "few levels"])
def test_mixture_is_that_of_topaz(kind):
    topaz_stats = pytest.importorskip("topaz.stats")
    rng = np.random.default_rng(1)
    values = {
        "background and particles": mixture(20_000),
        "one component": rng.normal(size=20_000),
        "skewed": -rng.gamma(2.0, size=20_000),
        "few levels": rng.poisson(3.0, 20_000).astype(float),
    }[kind]
    with threadpool_limits(1):
        for weight in (1, 50):
            mean, sd, *_ = topaz_stats.norm_fit(values, alpha=900, beta=1, scale=weight)
            assert brighter_component(values, weight=weight) == pytest.approx((mean, sd), rel=1e-5, abs=1e-6)


def test_mixture_of_a_sample_is_that_of_all_pixels():
    values = mixture(60_000)
    assert gaussian_mixture(values) == pytest.approx(brighter_component(values), abs=0.05)


def test_preparing_imports_neither_topaz_nor_torch():
    code = "import sys, crisp_core.preparation.normalization; sys.exit(bool({'topaz', 'torch'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_robust_scale_of_a_normal_sample_ignores_outliers():
    values = np.random.default_rng(0).normal(5, 3, 200_000)
    values[:2000] = 1e6
    scale = robust(values)
    assert scale.mean == pytest.approx(5, abs=0.1)
    assert scale.sd == pytest.approx(3, abs=0.1)


def test_robust_scale_of_mostly_equal_values_is_their_standard_deviation():
    values = np.array([0.0] * 90 + [1.0] * 10)
    assert robust(values) == pytest.approx((0, values.std()))


@pytest.mark.parametrize("method", ["gaussian_mixture", "robust"])
def test_only_valid_pixels_count_and_outliers_are_clipped(method):
    image = mixture(128 * 128).reshape(128, 128)
    valid = valid_area(image.shape, 10)
    spoiled = np.where(valid, image, 1e9)
    spoiled[64, 64] = 1e7
    result = normalize_image(spoiled, method, valid)
    assert result.dtype == np.float32
    assert (result[~valid] == 0).all()
    assert result[64, 64] == 10
    clean = normalize_image(image, method, valid)
    assert abs(np.delete(result[valid] - clean[valid], np.argmax(result[valid]))).max() < 0.02


def test_highpass_removes_a_gradient_and_keeps_a_particle():
    y, x = np.mgrid[:200, :200]
    valid = valid_area((200, 200), 15)
    particle = -np.exp(-((x - 100) ** 2 + (y - 90) ** 2) / 50)
    ramp = 0.05 * x + 3
    flat = highpass(np.where(valid, ramp + particle, 1e4), valid, sigma_px=15.0)
    assert flat[90, 100] < -0.85
    middle = flat[60:140, 60:80]
    assert np.ptp(middle) < 0.1 * np.ptp(ramp[60:140, 60:80])
    np.testing.assert_allclose(highpass(np.full((50, 50), 7.0), np.ones((50, 50), bool), sigma_px=5.0), 0, atol=1e-5)


def test_margin_is_counted_on_all_four_sides():
    valid = valid_area((10, 14), 3)
    assert valid.sum() == 4 * 8 and valid[3, 3] and valid[6, 10] and not valid[7, 5]
    assert valid_area((5, 5), 0).all()
    assert not valid_area((5, 5), 3).any()


@pytest.mark.parametrize("method", ["gaussian_mixture", "robust"])
def test_preparation_gives_working_pixels_with_a_background_of_zero_and_one(method):
    rng = np.random.default_rng(0)
    image = rng.normal(100, 8, (400, 600)).astype(np.float32)
    result = prepare(image, 1.5, working_pixel_size=3.0, normalization=method, margin_angstrom=30)
    assert result.image.shape == (200, 300) == result.valid.shape
    assert result.pixel_size == pytest.approx(3.0)
    assert not result.valid[:10].any() and result.valid[11:-11, 11:-11].all()
    inside = result.image[result.valid]
    assert abs(inside.mean()) < 0.15 and inside.std() == pytest.approx(1, abs=0.1)


def test_preparation_does_not_depend_on_what_the_invalid_edge_holds():
    image = np.random.default_rng(0).normal(size=(256, 256)).astype(np.float32)
    spoiled = image.copy()
    spoiled[:30] = 1e4 * np.sign(spoiled[:30])
    options = {"working_pixel_size": 2.0, "normalization": "robust", "margin_angstrom": 30, "highpass_angstrom": 40}
    first, second = prepare(image, 1.0, **options), prepare(spoiled, 1.0, **options)
    np.testing.assert_array_equal(first.image, second.image)


@pytest.mark.parametrize(
    ("image", "options", "message"),
    [
        (
            np.ones((64, 64)),
            {},
            "every valid pixel has the same value, so there is no image in it; leave it out of the dataset",
        ),
        (
            np.arange(4096.0).reshape(64, 64),
            {"margin_angstrom": 40},
            "no valid pixel is left inside the margin, smeared and dark borders; lower margin_angstrom",
        ),
        (
            np.random.default_rng(0).normal(size=(64, 64)),
            {"normalization": "zscore"},
            "normalization: zscore is not a method; give one of gaussian_mixture, robust",
        ),
    ],
)
def test_impossible_preparations_are_refused(image, options, message):
    with pytest.raises(UserError) as error:
        prepare(image.astype(np.float32), 1.0, working_pixel_size=1.0, **options)
    assert str(error.value) == message
