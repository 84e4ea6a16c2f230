import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.distance import pdist

from crisp_core.errors import UserError
from crisp_core.labels import threshold_label
from crisp_core.normalization import fourier_downsample
from crisp_core.projections import project
from crisp_core.simulation import draw_centers, draw_rotations, noise_sd, simulate_micrograph
from crisp_core.volumes import phantom
from tests.densities import ball, contrast_transfer

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


@pytest.fixture(scope="module")
def particle():
    return phantom(180 / 7.08, seed=1)


@pytest.fixture(scope="module")
def simulated(particle):
    return simulate_micrograph(particle, name="a", **SETTINGS)


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


def test_li_labels_of_the_phantom_are_one_filled_outline_each(particle):
    images = project(particle, draw_rotations(12, np.random.default_rng(0)))
    labels = threshold_label(images.reshape(-1, images.shape[-1])).reshape(images.shape)
    areas = labels.sum(axis=(1, 2))
    disc = np.pi * (180 / 7.08 / 2) ** 2
    for label in labels:
        assert ndimage.label(label)[1] == 1
        assert (ndimage.binary_fill_holes(label) == label).all()
    assert (areas > 0.4 * disc).all() and (areas < disc).all()
