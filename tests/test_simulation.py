import logging.config
import subprocess
import sys
from pathlib import Path

import mrcfile
import numpy as np
import pytest
import starfile
from scipy import ndimage
from scipy.spatial.distance import pdist
from scipy.spatial.transform import Rotation

from crisp_core.errors import UserError
from crisp_core.labels import threshold_label
from crisp_core.normalization import fourier_downsample
from crisp_core.simulation import (
    ctf,
    draw_centers,
    draw_rotations,
    electron_wavelength_angstrom,
    fourier_shifted,
    measured_diameter_px,
    noise_sd,
    phantom,
    place,
    project,
    resampled_volume,
    simulate_micrograph,
)

OPTICS = {"voltage_kv": 300.0, "spherical_aberration_mm": 2.7, "amplitude_contrast": 0.1}
SETTINGS = {
    "seed": 1,
    "shape": (384, 512),
    "pixel_size": 7.08,
    "n_particles": (30, 40),
    "min_distance_angstrom": 150.0,
    "margin_angstrom": 90.0,
    "defocus_angstrom": [15604.0, 33447.0],
    "snr": 0.005,
    "snr_pixel_size": 1.77,
    "optics": OPTICS,
}


def ball(n, radius, centre=(0.0, 0.0, 0.0), softness=0.8):
    """Soft ball around voxel n // 2, moved by `centre` = (x, y, z)."""
    z, y, x = np.mgrid[:n, :n, :n] - n // 2
    distance = np.sqrt((x - centre[0]) ** 2 + (y - centre[1]) ** 2 + (z - centre[2]) ** 2)
    return (1 / (1 + np.exp((distance - radius) / softness))).astype(np.float32)


@pytest.fixture(scope="module")
def particle():
    return phantom(180 / 7.08, seed=1)


@pytest.fixture(scope="module")
def simulated(particle):
    return simulate_micrograph(particle, name="a", **SETTINGS)


def contrast_transfer(s, defocus, *, amplitude=0.1, phase_deg=0.0):
    """Formula of RELION's ctf.cpp, for frequencies in 1/Å: -sin(K1 Δ s² + K2 s⁴ - K5 - K3), Δ = -defocus."""
    volts = 300e3
    wavelength = 12.2643247 / np.sqrt(volts * (1 + volts * 0.978466e-6))
    k1, k2 = np.pi * wavelength, np.pi / 2 * 2.7e7 * wavelength**3
    k3 = np.arctan(amplitude / np.sqrt(1 - amplitude**2))
    return -np.sin(k1 * -defocus * s**2 + k2 * s**4 - np.radians(phase_deg) - k3)


@pytest.mark.parametrize(("voltage", "angstrom"), [(100, 0.037014), (200, 0.025079), (300, 0.019687)])
def test_wavelength_is_the_textbooks(voltage, angstrom):
    assert electron_wavelength_angstrom(voltage) == pytest.approx(angstrom, rel=1e-4)


@pytest.mark.parametrize("phase", [0.0, 90.0])
def test_ctf_is_relions_formula_along_each_axis(phase):
    values = ctf(
        (60, 80), pixel_size=2.0, defocus_u_angstrom=21000, defocus_v_angstrom=15000, defocus_angle_deg=0,
        phase_shift_deg=phase, **OPTICS,
    )  # fmt: skip
    s_x, s_y = np.fft.rfftfreq(80, 2.0), np.fft.fftfreq(60, 2.0)
    assert values.shape == (60, 41)
    np.testing.assert_allclose(values[0], contrast_transfer(s_x, 21000, phase_deg=phase), atol=1e-5)
    np.testing.assert_allclose(values[:, 0], contrast_transfer(s_y, 15000, phase_deg=phase), atol=1e-5)


def test_ctf_starts_at_the_amplitude_contrast_and_rises_in_underfocus():
    values = ctf(
        (512, 512), pixel_size=7.08, defocus_u_angstrom=2e4, defocus_v_angstrom=2e4, defocus_angle_deg=0, **OPTICS
    )
    assert values[0, 0] == pytest.approx(0.1)
    assert values[0, 1] > values[0, 0]


def test_astigmatism_turns_from_x_to_y_in_row_order():
    n = 64
    options = {"pixel_size": 3.0, "defocus_u_angstrom": 26000, "defocus_v_angstrom": 14000, **OPTICS}
    values = ctf((n, n), defocus_angle_deg=45, **options)
    diagonal = np.arange(n // 2)
    s = np.fft.rfftfreq(n, 3.0)[: n // 2] * np.sqrt(2)
    np.testing.assert_allclose(values[diagonal, diagonal], contrast_transfer(s, 26000), atol=1e-4)
    np.testing.assert_allclose(values[-diagonal[1:], diagonal[1:]], contrast_transfer(s[1:], 14000), atol=1e-4)


def test_rows_of_the_ctf_are_rows_of_the_whole():
    options = {
        "pixel_size": 3.0,
        "defocus_u_angstrom": 2e4,
        "defocus_v_angstrom": 1e4,
        "defocus_angle_deg": 30,
        **OPTICS,
    }
    np.testing.assert_array_equal(ctf((20, 30), rows=slice(4, 9), **options), ctf((20, 30), **options)[4:9])


@pytest.mark.real
def test_projections_are_relions(shared_data):
    density = mrcfile.read(shared_data / "maps/aspire_clean70SRibosome_vol_65p.mrc")
    expected = mrcfile.read(shared_data / "interop/aspire_rln_proj_65.mrcs")
    table = starfile.read(shared_data / "interop/aspire_rln_proj_65.star")
    euler_deg = table[["rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"]].to_numpy()
    # In a box of odd side RELION's centre is one pixel farther right and down.
    images = np.roll(project(density, euler_deg), (1, 1), axis=(1, 2))
    for image, other in zip(images, expected, strict=True):
        assert np.corrcoef(image.ravel(), other.ravel())[0, 1] >= 0.99


def test_projection_is_the_sum_along_z_and_keeps_the_mass():
    volume = ball(32, 6, (3, -2, 1)) + ball(32, 3, (-6, 4, 2))
    image = project(volume, np.zeros((1, 3)))[0]
    np.testing.assert_allclose(image, volume.sum(axis=0), atol=0.02 * image.max())
    sums = project(volume, draw_rotations(5, np.random.default_rng(0))).sum(axis=(1, 2))
    np.testing.assert_allclose(sums, volume.sum(), rtol=1e-3)


def test_projection_of_a_ball_is_where_the_rotation_takes_it():
    centre = np.array([7.0, -3.0, 4.0])
    euler_deg = draw_rotations(8, np.random.default_rng(2))
    images = project(ball(48, 4, centre, softness=1.0), euler_deg)
    # RELION's matrix is the transpose of the intrinsic ZYZ rotation: it takes the density into the image's frame.
    turned = Rotation.from_euler("ZYZ", euler_deg, degrees=True).inv().apply(centre)
    found = np.array([ndimage.center_of_mass(image) for image in images])[:, ::-1] - 24
    np.testing.assert_allclose(found, turned[:, :2], atol=0.05)


def test_no_rotations_give_no_projections():
    assert project(ball(16, 3), np.empty((0, 3))).shape == (0, 16, 16)


def test_rotations_are_uniform():
    rot, tilt, psi = draw_rotations(20_000, np.random.default_rng(0)).T
    for angle in (rot, psi):
        assert abs(np.exp(1j * np.radians(angle)).mean()) < 0.03
    # The view direction is uniform on the sphere: every coordinate has mean 0 and variance 1/3.
    assert np.cos(np.radians(tilt)).mean() == pytest.approx(0, abs=0.02)
    assert np.cos(np.radians(tilt)).var() == pytest.approx(1 / 3, abs=0.01)


def test_centers_keep_their_distance_and_their_margin():
    xy = draw_centers((300, 500), 80, min_distance_px=20.0, margin_px=12.0, rng=np.random.default_rng(0))
    assert xy.shape == (80, 2)
    assert pdist(xy).min() >= 20
    assert (xy >= 12).all() and (xy <= [499 - 12, 299 - 12]).all()
    assert draw_centers((9, 9), 0, min_distance_px=1, margin_px=20, rng=np.random.default_rng(0)).shape == (0, 2)


def test_centers_that_do_not_fit_are_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(
        UserError, match=r"^simulation: 50 particles at least 40\.0 px apart do not fit into 100 × 100 "
    ):
        draw_centers((100, 100), 50, min_distance_px=40, margin_px=0, rng=rng)
    with pytest.raises(UserError) as error:
        draw_centers((100, 60), 1, min_distance_px=5, margin_px=30, rng=rng)
    assert str(error.value) == (
        "simulation/shape_px: a particle with its margin of 30 px does not fit into 60 × 100 pixels; "
        "give larger micrographs"
    )


def test_shift_by_whole_pixels_rolls_and_by_fractions_moves_the_centre_of_mass():
    image = ball(32, 5)[16]
    rolled, moved = fourier_shifted(np.stack([image, image]), np.array([[3, -2], [0.3, -0.45]]))
    np.testing.assert_allclose(rolled, np.roll(image, (-2, 3), axis=(0, 1)), atol=1e-5)
    np.testing.assert_allclose(
        ndimage.center_of_mass(moved), np.add(ndimage.center_of_mass(image), [-0.45, 0.3]), atol=0.01
    )


def test_particles_lie_at_their_coordinates_and_overlap_adds():
    spot = ball(24, 3)[12]
    xy = np.array([[30.3, 25.8], [70.0, 61.5]])
    image = place((90, 110), np.stack([spot, spot]), xy)
    assert image.sum() == pytest.approx(2 * spot.sum(), rel=1e-4)
    for (x, y), half in zip(xy, (image[:44], image[44:]), strict=True):
        row, column = ndimage.center_of_mass(half)
        np.testing.assert_allclose([column, row + (44 if y > 44 else 0)], [x, y], atol=0.02)
    np.testing.assert_allclose(place((90, 110), np.stack([spot] * 2), xy[[0, 0]]).max(), 2 * spot.max(), rtol=0.05)


def test_particle_over_the_edge_is_cut():
    spot = ball(24, 3)[12]
    whole = np.pad(spot, 30)
    image = place((15, 18), spot[None], np.array([[1.0, 13.0]]))
    np.testing.assert_allclose(image, whole[42 - 13 : 42 + 2, 42 - 1 : 42 + 17], atol=1e-5)
    assert place((15, 18), spot[None], np.array([[-50.0, 400.0]])).sum() == 0


def test_signal_to_noise_ratio_is_the_one_asked_for(simulated):
    noise = simulated.image - simulated.clean
    expected = 0.005 * (7.08 / 1.77) ** 2
    assert simulated.clean.var() / noise.var() == pytest.approx(expected, rel=0.02)
    assert abs(noise.mean()) < 5 * noise.std() / np.sqrt(noise.size)


def test_noise_at_a_coarser_pixel_size_is_the_down_sampled_noise():
    rng = np.random.default_rng(0)
    clean = ball(32, 6)[16]
    fine = noise_sd(clean, pixel_size=2.0, snr=0.01, snr_pixel_size=2.0)
    coarse = noise_sd(clean, pixel_size=6.0, snr=0.01, snr_pixel_size=2.0)
    assert clean.var() / fine**2 == pytest.approx(0.01, rel=1e-5)
    down_sampled = fourier_downsample(rng.normal(0, fine, (600, 600)), (200, 200))
    assert down_sampled.std() == pytest.approx(coarse, rel=0.02)


def test_clean_micrograph_is_minus_ctf_times_projections(simulated):
    # Far from the edge, where what lies beyond it does not count, against numpy's own transform of a larger canvas.
    defocus = simulated.coordinates["defocus_u_angstrom"].iloc[0]
    canvas = np.zeros((1024, 1024))
    canvas[:384, :512] = simulated.ctf_free
    fy, fx = np.meshgrid(np.fft.fftfreq(1024, 7.08), np.fft.fftfreq(1024, 7.08), indexing="ij")
    expected = -np.fft.ifft2(np.fft.fft2(canvas) * contrast_transfer(np.hypot(fx, fy), defocus)).real
    inside = np.s_[60:-60, 60:-60]
    difference = simulated.clean[inside] - expected[:384, :512][inside]
    assert difference.std() < 0.02 * simulated.clean.std()


def test_particles_are_dark_and_where_the_table_says(simulated):
    table = simulated.coordinates
    assert 30 <= len(table) <= 40 and (table["micrograph"] == "a").all()
    x, y = table["x"].round().astype(int), table["y"].round().astype(int)
    smooth = ndimage.gaussian_filter(simulated.clean, 3)
    assert (smooth[y, x] < smooth.mean() - smooth.std()).all()
    assert (simulated.ctf_free[y, x] > 0.2 * simulated.ctf_free.max()).all()


def test_simulation_depends_on_seed_and_name_only(particle, simulated):
    again = simulate_micrograph(particle, name="a", **SETTINGS)
    np.testing.assert_array_equal(again.image, simulated.image)
    assert again.coordinates.equals(simulated.coordinates)
    other_name = simulate_micrograph(particle, name="b", **SETTINGS)
    other_seed = simulate_micrograph(particle, name="a", **{**SETTINGS, "seed": 2})
    assert len({m.image.tobytes() for m in (simulated, other_name, other_seed)}) == 3


def test_micrograph_without_particles_is_noise(particle):
    empty = simulate_micrograph(particle, name="a", **{**SETTINGS, "n_particles": (0, 0)})
    assert empty.coordinates.empty and empty.ctf_free.max() == 0
    assert empty.image.std() == pytest.approx(1, rel=0.02)


@pytest.mark.parametrize("seed", [1, 2])
def test_phantom_has_d2_symmetry_and_the_asked_diameter(seed):
    volume = phantom(26.0, seed=seed)
    n = len(volume)
    assert volume.shape == (n, n, n) and n % 2 == 0
    assert measured_diameter_px(volume) == pytest.approx(26, abs=1)
    inner = volume[1:, 1:, 1:]
    for turned in (inner[:, ::-1, ::-1], inner[::-1, :, ::-1]):
        np.testing.assert_allclose(turned, inner, atol=2e-3)
    # Box corners and faces are empty, so rotation loses nothing.
    assert abs(volume[0]).max() < 0.01 and volume.min() > -0.01


def test_li_labels_of_the_phantom_are_one_filled_outline_each(particle):
    images = project(particle, draw_rotations(12, np.random.default_rng(0)))
    labels = threshold_label(images.reshape(-1, images.shape[-1])).reshape(images.shape)
    areas = labels.sum(axis=(1, 2))
    disc = np.pi * (180 / 7.08 / 2) ** 2
    for label in labels:
        assert ndimage.label(label)[1] == 1
        assert (ndimage.binary_fill_holes(label) == label).all()
    assert (areas > 0.4 * disc).all() and (areas < disc).all()


def test_diameter_of_a_ball_holds_its_mass():
    # 98 % of a solid ball's volume lies within 0.98^(1/3) of its radius.
    assert measured_diameter_px(ball(64, 20, softness=0.1)) == pytest.approx(40 * 0.98 ** (1 / 3), abs=0.6)


@pytest.mark.parametrize("new_pixel_size", [1.3, 2.0, 3.1])
@pytest.mark.parametrize("side", [40, 41])
def test_resampled_ball_has_its_size_its_density_and_its_centre(side, new_pixel_size):
    volume = ball(side, 10, softness=2.0)
    result = resampled_volume(volume, 2.0, new_pixel_size)
    assert len(result) % 2 == 0 and len(set(result.shape)) == 1
    expected = ball(len(result), 10 * 2.0 / new_pixel_size, softness=2.0 * 2.0 / new_pixel_size)
    np.testing.assert_allclose(result, expected, atol=0.03)


def test_resampling_pads_a_box_that_is_not_a_cube():
    volume = ball(40, 8)[4:36, :, 6:34]
    np.testing.assert_allclose(resampled_volume(volume, 1.0, 1.0), ball(40, 8), atol=1e-3)


@pytest.mark.slow
def test_importing_aspire_leaves_log_hook_and_working_directory_alone(tmp_path):
    code = """
import logging, os, sys
logging.basicConfig(filename="mine.log", filemode="w", level=logging.INFO)
log, hook = logging.getLogger("crisp"), sys.excepthook
from crisp_core.simulation import phantom
phantom(12.0, seed=0)
log.info("still here")
assert sys.excepthook is hook and not log.disabled and "ASPIREDIR" not in os.environ
"""
    root = Path(__file__).parents[1]
    subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(root)!r})\n{code}"], cwd=tmp_path, check=True
    )
    assert [path.name for path in tmp_path.iterdir()] == ["mine.log"]
    assert (tmp_path / "mine.log").read_text() == "INFO:crisp:still here\n"


def test_logging_of_this_process_survives_aspire(particle):
    assert logging.config.fileConfig.__module__ == "logging.config"
