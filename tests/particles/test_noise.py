import numpy as np
import pandas as pd
import pytest

from crisp_core.labels.thresholds import threshold_label
from crisp_core.particles.noise import (
    NoisePatches,
    add_pooled_spectrum,
    choose_corners,
    find_background,
    find_free_corners,
    patches_table,
    power_spectrum,
    sample_noise,
    spectra_table,
)
from crisp_core.simulation.micrograph import simulate_micrograph
from crisp_core.simulation.volumes import phantom

PIXEL_SIZE, DIAMETER_ANGSTROM, SIDE = 7.08, 180.0, 32
SIMULATION = {
    "pixel_size": PIXEL_SIZE,
    "shape": (1024, 1024),
    "n_particles": (110, 110),
    "min_distance_angstrom": 200.0,
    "margin_angstrom": 90.0,
    "defocus_angstrom": [20000.0],
    "snr": 0.05,
    "snr_pixel_size": 1.77,
    "optics": {"voltage_kv": 300.0, "spherical_aberration_mm": 2.7, "amplitude_contrast": 0.1},
    "seed": 1,
}
NOISE = {"side_px": SIDE, "patches_per_micrograph": 200, "threshold": 0.2, "margin_angstrom": 60, "overlap": 0.5}


@pytest.fixture(scope="module")
def micrographs():
    """Two micrographs, and for each the probability map of a perfect network."""
    volume = phantom(DIAMETER_ANGSTROM / PIXEL_SIZE, seed=1)
    made = [simulate_micrograph(volume, name=name, **SIMULATION) for name in ("m1", "m2")]
    return [(one, threshold_label(one.ctf_free).astype(np.float32)) for one in made]


def sampled(image, probability, name="m1", **options):
    valid = np.ones(probability.shape, dtype=bool)
    grid = PIXEL_SIZE * image.shape[0] / probability.shape[0]
    return sample_noise(image, probability, valid, name=name, pixel_size=grid, seed=3, **NOISE | options)


def bands(spectrum):
    """Means of a spectrum over five bands of frequency."""
    return np.array([band.mean() for band in np.array_split(spectrum, 5)])


def test_spectrum_of_the_background_is_the_noises(micrographs):
    found, true, variances = [], [], []
    for made, probability in micrographs:
        for image, into in ((made.image, found), (made.image - made.clean, true)):
            into.append(sampled(image, probability).stack)
        variances.append(np.var(made.image - made.clean))
    found, true = np.concatenate(found), np.concatenate(true)
    assert len(found) > 150
    # the same patches of the noise alone, at every frequency, and white noise of the simulation's variance
    np.testing.assert_allclose(power_spectrum(found), power_spectrum(true), rtol=0.05)
    np.testing.assert_allclose(bands(power_spectrum(found)), np.mean(variances), rtol=0.05)


def test_spectrum_is_biased_where_particles_are_not_excluded(micrographs):
    made, probability = micrographs[0]
    everywhere = sampled(made.image, np.zeros_like(probability)).stack
    variance = np.var(made.image - made.clean)
    excess = power_spectrum(everywhere) / variance - 1
    assert excess[:4].mean() > 0.5
    # and above all where particles scatter
    assert excess[:4].mean() > 5 * abs(excess[-4:].mean())


def test_white_noise_has_its_variance_at_every_frequency():
    stack = np.random.default_rng(0).normal(loc=500, scale=3, size=(3000, 16, 16))
    np.testing.assert_allclose(power_spectrum(stack), 9, rtol=0.03)


def test_strong_low_frequencies_do_not_leak():
    """A slow wave that does not fit the patch: without a window it would be a hundred times the noise everywhere."""
    rng = np.random.default_rng(1)
    wave = 300 * np.sin(2 * np.pi * np.arange(64) / 90 + rng.uniform(0, 7, (400, 1)))
    stack = wave[:, None, :] + rng.normal(size=(400, 64, 64))
    np.testing.assert_allclose(power_spectrum(stack)[12:], 1, rtol=0.05)
    plain = np.abs(np.fft.fft2(stack - stack.mean(axis=(1, 2), keepdims=True))[:, 0, 20]) ** 2 / 64**2
    assert plain.mean() > 50


def test_a_wave_has_its_frequency():
    x = np.arange(32)
    stack = np.sin(2 * np.pi * 6 * x / 32)[None, None, :] * np.ones((1, 32, 1))
    spectra = {"m": (1, power_spectrum(stack))}
    table = spectra_table(spectra, side_px=32, pixel_size=2.0)
    assert table["frequency"][table["power"].idxmax()] == 6 / 64
    assert (table["frequency"].min(), table["frequency"].max()) == (2 / 64, 1 / 4)


@pytest.mark.parametrize("coarse", [1, 3])
def test_patches_lie_on_background_and_do_not_overlap(coarse):
    rng = np.random.default_rng(2)
    image = rng.normal(size=(480, 600)).astype(np.float32)
    probability = np.zeros((480 // coarse, 600 // coarse), dtype=np.float32)
    valid = np.ones(probability.shape, dtype=bool)
    probability[100 // coarse : 160 // coarse, 200 // coarse : 330 // coarse] = 0.6
    valid[:, : 60 // coarse] = False
    margin = 20
    found = sample_noise(
        *(image, probability, valid),
        name="m",
        pixel_size=2.0 * coarse,
        seed=1,
        **NOISE | {"margin_angstrom": 2.0 * margin, "overlap": 0},
    )
    assert len(found.corners) > 30
    for (x, y), patch in zip(found.corners, found.stack, strict=True):
        np.testing.assert_array_equal(patch, image[y : y + SIDE, x : x + SIDE])
        assert x >= 60 + margin - coarse
        beside = x + SIDE <= 200 - margin + coarse or x >= 330 + margin - coarse
        assert beside or y + SIDE <= 100 - margin + coarse or y >= 160 + margin - coarse
    offsets = np.abs(found.corners[:, None] - found.corners)[np.triu_indices(len(found.corners), 1)]
    assert (offsets.max(axis=1) >= SIDE).all()


def test_overlap_is_at_most_what_is_allowed():
    corners = find_free_corners(np.ones((200, 200), dtype=bool), (200, 200), side_px=SIDE)
    for overlap, least in ((0, 15), (0.5, 40)):
        rng = np.random.default_rng(0)
        taken = choose_corners(corners, 1000, side_px=SIDE, overlap=overlap, rng=rng)
        offsets = np.abs(taken[:, None] - taken)[np.triu_indices(len(taken), 1)]
        assert (np.clip(SIDE - offsets, 0, None).prod(axis=1) / SIDE**2).max() <= overlap
        assert least < len(taken) < 1000


def test_every_place_is_found_by_brute_force():
    free = np.random.default_rng(3).uniform(size=(30, 40)) > 0.02
    found = {tuple(corner) for corner in find_free_corners(free, (30, 40), side_px=4).tolist()}
    # on the same grid a patch is asked to leave a pixel more than its side and one for rounding
    expected = {(x, y) for y in range(25) for x in range(35) if free[y : y + 6, x : x + 6].all()}
    assert expected <= found
    assert all(free[y : y + 4, x : x + 4].all() for x, y in found)


def test_a_map_full_of_particles_leaves_no_room_and_no_error():
    image = np.random.default_rng(4).normal(size=(100, 100)).astype(np.float32)
    found = sampled(image, np.ones((100, 100), dtype=np.float32))
    assert found.stack.shape == (0, SIDE, SIDE) and found.background_share == 0
    table = patches_table("m", found, stack="noise.mrcs", first=0)
    assert list(table) == ["image", "micrograph", "x", "y", "mean", "sd"] and table.empty
    tiny = sampled(image[:20, :20], np.zeros((20, 20), dtype=np.float32))
    assert len(tiny.stack) == 0


def test_contaminants_of_the_network_are_no_background():
    probability, classes = np.zeros((60, 60)), np.zeros((60, 60), dtype=np.uint8)
    classes[:, 30:] = 2
    valid = np.ones((60, 60), dtype=bool)
    free = find_background(probability, valid, threshold=0.2, margin_px=5, classes=classes)
    assert free[:, :25].all() and not free[:, 25:].any()


def test_names_and_seeds_draw_their_own_places():
    image, probability = np.random.default_rng(5).normal(size=(2, 200, 200)).astype(np.float32)
    probability[:] = 0
    one, same, other = (sampled(image, probability, name=name, overlap=0).corners for name in ("m1", "m1", "m2"))
    np.testing.assert_array_equal(one, same)
    assert one.tolist() != other.tolist()


def test_pooled_spectrum_is_that_of_all_patches():
    stacks = [np.random.default_rng(i).normal(scale=i, size=(n, 16, 16)) for i, n in ((1, 3), (2, 9))]
    spectra = {f"m{len(stack)}": (len(stack), power_spectrum(stack)) for stack in stacks}
    table = add_pooled_spectrum(spectra_table(spectra, side_px=16, pixel_size=1.0))
    pooled = table[table["micrograph"] == "all"]
    np.testing.assert_allclose(pooled["power"], power_spectrum(np.concatenate(stacks)))
    assert set(pooled["n_patches"]) == {12} and table["micrograph"].unique().tolist() == ["m3", "m9", "all"]
    empty = add_pooled_spectrum(spectra_table({}, side_px=16, pixel_size=1.0))
    pd.testing.assert_index_equal(empty.columns, table.columns)


def test_table_says_where_each_patch_came_from():
    stack = np.stack([np.full((4, 4), 3.0), np.arange(16.0).reshape(4, 4)]).astype(np.float32)
    patches = NoisePatches(stack, np.array([[5, 6], [70, 80]]), 0.5)
    table = patches_table("m1", patches, stack="noise/0000.mrcs", first=11)
    assert table.iloc[1].tolist() == ["000013@noise/0000.mrcs", "m1", 70, 80, 7.5, np.std(np.arange(16))]
