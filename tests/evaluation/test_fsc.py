import ctypes
import shutil
import subprocess

import mrcfile
import numpy as np
import pandas as pd
import pytest

from crisp_core.errors import UserError
from crisp_core.evaluation import fsc
from crisp_core.evaluation.fsc import correct_correlation, randomise_phases
from crisp_core.formats.mrc import write_mrc
from crisp_core.formats.star import read_blocks
from tests.densities import ball

N, PIXEL_SIZE = 64, 2.0
MASKING = {"pixel_size": PIXEL_SIZE, "lowpass_angstrom": 15, "threshold": None}
RELIONS_LABELS = {
    "unmasked": "rlnFourierShellCorrelationUnmaskedMaps",
    "masked": "rlnFourierShellCorrelationMaskedMaps",
    "randomised": "rlnCorrectedFourierShellCorrelationPhaseRandomizedMaskedMaps",
    "corrected": "rlnFourierShellCorrelationCorrected",
}


@pytest.fixture(scope="module")
def halves():
    """Two noisy copies of a cloud of small blobs, which a refinement would know to about shell 24."""
    rng = np.random.default_rng(0)
    z, y, x = np.mgrid[:N, :N, :N] - N // 2
    centres = rng.normal(scale=6, size=(150, 3))
    cloud = sum(np.exp(-((x - a) ** 2 + (y - b) ** 2 + (z - c) ** 2) / 2) for a, b, c in centres)
    known = 1 / (1 + (fsc.shell_numbers(N) / 24) ** 16)
    density = np.fft.irfftn(known * np.fft.rfftn(cloud))
    return [(density + rng.normal(scale=0.3, size=density.shape)).astype(np.float32) for _ in range(2)]


@pytest.fixture(scope="module")
def mask(halves):
    return fsc.soft_mask(sum(halves), extend_angstrom=6, edge_angstrom=12, **MASKING)


@pytest.fixture(scope="module")
def relions(halves, mask, tmp_path_factory):
    """Curves and resolution of relion_postprocess for the same maps and mask."""
    need("relion_postprocess")
    folder = tmp_path_factory.mktemp("postprocess")
    for name, volume in {"half1": halves[0], "half2": halves[1], "mask": mask}.items():
        write_mrc(folder / f"{name}.mrc", volume, pixel_size=PIXEL_SIZE, dtype=np.float32)
    (folder / "out").mkdir()
    options = "--i half1.mrc --i2 half2.mrc --mask mask.mrc --o out/postprocess --angpix 2 --random_seed 5"
    subprocess.run(["relion_postprocess", *options.split()], cwd=folder, check=True, capture_output=True)
    return read_blocks(folder / "out/postprocess.star")


def need(program):
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not on PATH: install RELION (Debian: apt-get install relion)")


def relions_phases(libc, from_shell):
    """The phases that RELION draws for one map: C's rand, one per element of the half space, row after row."""
    full, half = np.fft.fftfreq(N, 1 / N), np.arange(N // 2 + 1)
    beyond = full[:, None, None] ** 2 + full[:, None] ** 2 + half**2 >= from_shell**2
    phases = np.zeros(beyond.shape)
    phases[beyond] = [2 * np.pi * libc.rand() / (2**31 - 1) for _ in range(beyond.sum())]
    return phases


def test_with_relions_random_numbers_all_curves_are_relions(halves, mask, relions):
    libc = ctypes.CDLL(None)
    libc.srand(5)
    from_shell = fsc.first_shell_below(fsc.fourier_shell_correlation(*halves), 0.8)
    phases = tuple(relions_phases(libc, from_shell) for _ in halves)
    ours = fsc.half_map_curves(*halves, mask, pixel_size=PIXEL_SIZE, phases=phases)
    assert N * PIXEL_SIZE / from_shell == relions["general"]["rlnRandomiseFrom"]
    for curve, label in RELIONS_LABELS.items():
        np.testing.assert_allclose(ours[curve], relions["fsc"][label].astype(float), atol=1e-4, err_msg=curve)
    # RELION gives the last whole shell above 0.143
    found = fsc.resolution_angstrom(ours["frequency"].to_numpy(), ours["corrected"].to_numpy())
    assert 0 <= N * PIXEL_SIZE / found - N * PIXEL_SIZE / relions["general"]["rlnFinalResolution"] <= 1


def test_with_other_random_numbers_the_resolution_is_relions(halves, mask, relions):
    theirs = relions["fsc"][RELIONS_LABELS["corrected"]].to_numpy(dtype=float)
    for seed in range(3):
        rng = np.random.default_rng(seed)
        phases = tuple(fsc.random_phases(N, rng) for _ in halves)
        ours = fsc.half_map_curves(*halves, mask, pixel_size=PIXEL_SIZE, phases=phases)
        frequency = ours["frequency"].to_numpy()
        found = fsc.resolution_angstrom(frequency, ours["corrected"].to_numpy())
        assert found == pytest.approx(fsc.resolution_angstrom(frequency, theirs), rel=0.02)


def test_shells_are_rounded_distances():
    expected = [
        [[round((min(z, 6 - z) ** 2 + min(y, 6 - y) ** 2 + x**2) ** 0.5) for x in range(4)] for y in range(6)]
        for z in range(6)
    ]
    np.testing.assert_array_equal(fsc.shell_numbers(6), expected)


def test_correlation_of_signal_in_noise_follows_from_their_ratio():
    """White signal of variance s² in noise of variance 1: s² / (s² + 1) in every shell."""
    rng = np.random.default_rng(1)
    signal, *noise = rng.normal(size=(3, 48, 48, 48))
    curve = fsc.fourier_shell_correlation(2 * signal + noise[0], 30 * (2 * signal + noise[1]))
    np.testing.assert_allclose(curve[6:], 4 / 5, atol=0.03)


def test_correlation_of_equal_opposite_and_empty_maps():
    volume = np.random.default_rng(2).normal(size=(16, 16, 16))
    np.testing.assert_allclose(fsc.fourier_shell_correlation(volume, 3 * volume), 1)
    np.testing.assert_allclose(fsc.fourier_shell_correlation(volume, -volume), -1)
    np.testing.assert_array_equal(fsc.fourier_shell_correlation(volume, 0 * volume), 0)


def test_random_phases_change_nothing_but_phases_beyond_a_frequency():
    rng = np.random.default_rng(3)
    volume = rng.normal(size=(24, 24, 24))
    made = randomise_phases(volume, fsc.random_phases(24, rng), from_shell=5)
    before, after = np.fft.rfftn(volume), np.fft.rfftn(made)
    np.testing.assert_allclose(np.abs(after), np.abs(before), atol=1e-9)
    inside = fsc.shell_numbers(24) < 5
    np.testing.assert_allclose(after[inside], before[inside], atol=1e-9)
    assert abs(fsc.fourier_shell_correlation(volume, made)[6:]).max() < 0.3


def test_what_a_tight_mask_adds_is_taken_away():
    """Signal up to a frequency, pure noise beyond it, in a mask so tight that it correlates the noise."""
    rng = np.random.default_rng(4)
    n, last = 48, 8
    signal, *noise = rng.normal(size=(3, n, n, n))
    spectrum = np.fft.rfftn(signal) * (fsc.shell_numbers(n) <= last)
    halves = [20 * np.fft.irfftn(spectrum) + own for own in noise]
    mask = ball(n, 8, softness=0.1)
    curves = [
        fsc.half_map_curves(
            *halves,
            mask,
            pixel_size=1.0,
            phases=tuple(fsc.random_phases(n, rng) for _ in halves),
        )
        for _ in range(4)
    ]
    masked, corrected = (np.mean([curve[kind] for curve in curves], axis=0) for kind in ("masked", "corrected"))
    assert masked[last + 4 : last + 10].mean() > 0.2
    assert abs(corrected[last + 4 : last + 10].mean()) < 0.1


def test_correction_is_chens_formula_from_two_shells_beyond():
    masked, randomised = np.array([1, 0.9, 0.8, 0.7, 0.6, 0.1]), np.array([1, 0.9, 0.5, 0.4, 0.2, 0.3])
    corrected = correct_correlation(masked, randomised, from_shell=2)
    np.testing.assert_allclose(corrected, [1, 0.9, 0.8, 0.7, (0.6 - 0.2) / 0.8, (0.1 - 0.3) / 0.7])


def test_maps_that_never_disagree_are_not_corrected():
    volume = ball(16, 4)
    curves = fsc.half_map_curves(volume, volume, np.ones_like(volume), pixel_size=2.0, phases=(0, 0))
    assert curves["randomised"].isna().all()
    np.testing.assert_allclose(curves["corrected"], 1)
    assert list(curves["frequency"])[-1] == 1 / 4


@pytest.mark.parametrize(
    ("curve", "frequency"),
    [
        ([1, 0.9, 0.5, 0.1], 2 + (0.5 - 0.143) / 0.4),
        ([1, 0.1, 0.9, 0.0], (1 - 0.143) / 0.9),
        ([1, 0.143, 0.143, 0.143 - 1e-12], 2),
        ([1, 0.9, 0.8, 0.7], 3),
        ([0, 0.1, 0.1, 0.1], 1),
        ([0, -0.1, 0.1, 0.1], 1),
    ],
)
def test_resolution_lies_on_the_line_between_two_shells(curve, frequency):
    found = fsc.resolution_angstrom(np.arange(4) / 10.0, np.array(curve, dtype=float))
    assert found == pytest.approx(10 / frequency, rel=1e-6)


def test_mask_of_a_ball_is_a_wider_ball_with_a_cosine_edge():
    volume = ball(40, 8, softness=0.1) + ball(40, 2, centre=(14, 0, 0), softness=0.1)
    made = fsc.soft_mask(volume, pixel_size=2.0, lowpass_angstrom=0, threshold=0.5, extend_angstrom=4, edge_angstrom=8)
    profile = made[20, 20, 20:]
    # the last voxel of the ball is the one at 7 or 8, whichever its softness leaves above one half
    last = np.flatnonzero(volume[20, 20, 20:32] > 0.5).max()
    distance = 2.0 * (np.arange(20) - last)
    expected = 0.5 + 0.5 * np.cos(np.pi * np.clip((distance - 4) / 8, 0, 1))
    np.testing.assert_allclose(profile, expected, atol=1e-6)


def test_mask_is_relions(tmp_path):
    need("relion_mask_create")
    volume = ball(40, 8, softness=1.0) + ball(40, 5, centre=(7, 4, 0), softness=1.0)
    write_mrc(tmp_path / "map.mrc", volume, pixel_size=2.0, dtype=np.float32)
    options = "--i map.mrc --o mask.mrc --ini_threshold 0.5 --extend_inimask 2.5 --width_soft_edge 5 --angpix 2"
    subprocess.run(["relion_mask_create", *options.split()], cwd=tmp_path, check=True, capture_output=True)
    ours = fsc.soft_mask(volume, pixel_size=2.0, lowpass_angstrom=0, threshold=0.5, extend_angstrom=5, edge_angstrom=10)
    theirs = mrcfile.read(tmp_path / "mask.mrc")
    assert abs(ours - theirs).mean() < 0.002
    assert abs(ours - theirs).max() < 0.1


@pytest.mark.parametrize(("threshold", "amount"), [(2.0, "no voxel"), (-1.0, "every voxel")])
def test_threshold_that_makes_no_mask_is_refused(threshold, amount):
    options = MASKING | {"threshold": threshold, "lowpass_angstrom": 0}
    with pytest.raises(
        UserError, match=f"^resolution/mask_threshold: {amount} of the map is above {threshold:.3g}, its"
    ):
        fsc.soft_mask(ball(16, 4), extend_angstrom=0, edge_angstrom=0, **options)


def test_table_gives_each_seed_and_their_mean_and_deviation():
    frequency = np.arange(4) / 10
    curves = [
        pd.DataFrame({"set": name, "seed": seed, "frequency": frequency, "corrected": [1, 1, 1, last]})
        for name, seed, last in [("a", 1, 0.0), ("a", 2, 0.1), ("b", 1, 0.5), ("b", 2, 0.5)]
    ]
    curves = pd.concat(curves).assign(masked=1.0, unmasked=0.0)
    sets = pd.DataFrame({"set": [*"aabb"], "seed": [1, 2, 1, 2], "n_particles": 7, "false_share": 0.1})
    table = fsc.resolution_table(curves, sets).set_index(["set", "seed"])
    expected = [10 / (2 + 0.857), 10 / (2 + 0.857 / 0.9)]
    np.testing.assert_allclose(table.loc["a", "resolution_angstrom"][[1, 2]], expected)
    assert table.loc[("a", "mean"), "resolution_angstrom"] == pytest.approx(np.mean(expected))
    assert table.loc[("a", "sd"), "resolution_angstrom"] == pytest.approx(np.std(expected, ddof=1))
    assert list(table["at_nyquist"][:4]) == [0, 0, 1, 1]
    assert table.loc[("b", 1), "resolution_angstrom"] == pytest.approx(10 / 3)
    assert table.loc[("b", "mean"), "n_particles"] == 7
