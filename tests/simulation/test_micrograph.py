import shutil
import subprocess

import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import ndimage

from crisp_core.formats.arrays import read_array, write_array
from crisp_core.formats.coordinates.registry import read_coordinates
from crisp_core.formats.mrc import write_mrc
from crisp_core.formats.star import read_blocks, write_blocks
from crisp_core.formats.volumes import read_volume
from crisp_core.labels.thresholds import threshold_label
from crisp_core.preparation.normalization import fourier_resample
from crisp_core.simulation.centers import draw_rotations
from crisp_core.simulation.micrograph import simulate_micrograph
from crisp_core.simulation.noise import noise_sd
from crisp_core.simulation.projections import project
from crisp_core.simulation.truth import write_truth
from crisp_core.simulation.volumes import phantom
from tests.densities import ball, contrast_transfer
from tests.simulation.test_scenery import scenery_settings

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


def test_signal_to_noise_ratio_is_the_one_asked_for(simulated):
    noise = simulated.image - simulated.clean
    expected = 0.005 * (7.08 / 1.77) ** 2
    assert simulated.clean.var() / noise.var() == pytest.approx(expected, rel=0.02)
    assert abs(noise.mean()) < 5 * noise.std() / np.sqrt(noise.size)


def test_a_micrograph_without_particles_has_the_noise_of_one_that_has_them(particle, simulated):
    # with the signal of one particle in place of 35
    empty = simulate_micrograph(particle, name="a", **SETTINGS | {"n_particles": (0, 0), "snr": 0.005 / 35})
    assert empty.coordinates.empty and empty.ctf_free.max() == 0 and empty.clean.std() == 0
    noise = (simulated.image - simulated.clean).std()
    assert (empty.image - empty.clean).std() == pytest.approx(noise, rel=0.15)


COLOURED = {"noise": {"coloured_share": 0.3, "length_angstrom": 300, "falloff_angstrom": 3}}


@pytest.mark.parametrize("scenery", [None, COLOURED], ids=["white", "coloured"])
@pytest.mark.parametrize("pixel_size", [1.77, 7.08])
def test_ratio_measured_in_the_written_files_is_the_one_asked_for(tmp_path, particle, scenery, pixel_size):
    scenery = scenery and scenery_settings(**scenery)
    options = {"pixel_size": pixel_size, "snr": 0.02, "n_particles": (3, 3), "scenery": scenery}
    options |= {"min_distance_angstrom": 40.0, "margin_angstrom": 20.0}
    simulated = simulate_micrograph(particle, name="a", **{**SETTINGS, **options})
    with h5py.File(tmp_path / "0000.h5", "w") as file:
        for kind in ("image", "clean"):
            data = getattr(simulated, kind)
            write_array(file, kind, "a", data, pixel_size=pixel_size, full_shape=data.shape)
    image, clean = (read_array(tmp_path / "0000.h5", kind, "a").data.astype(float) for kind in ("image", "clean"))
    expected = 0.02 * (pixel_size / 1.77) ** 2
    assert clean.var() / (image - clean).var() == pytest.approx(expected, rel=0.02)


def test_scenery_adds_to_the_image_and_does_not_change_the_noise_level(particle, simulated):
    contaminated = scenery_settings(ice={"n_per_micrograph": [2, 2]}, gradient={"strength": 2.0})
    seen = simulate_micrograph(particle, name="a", **SETTINGS, scenery=contaminated)
    assert seen.clean.std() > 1.5 * simulated.clean.std()
    # Some particles stand elsewhere, so the signal is not the same to the last digit.
    assert (seen.image - seen.clean).std() == pytest.approx((simulated.image - simulated.clean).std(), rel=0.1)


def test_scenery_with_all_switched_off_changes_nothing(particle, simulated):
    off = simulate_micrograph(particle, name="a", **SETTINGS, scenery=scenery_settings())
    assert simulated.scenery is None and not off.scenery.any()
    for kind in ("image", "clean", "ctf_free"):
        np.testing.assert_array_equal(getattr(off, kind), getattr(simulated, kind))
    assert off.coordinates.equals(simulated.coordinates)


def test_truth_is_a_star_file_with_optics_angles_and_defocus(tmp_path, simulated):
    path = tmp_path / "0000.star"
    write_truth(path, simulated.coordinates, folder="mics", pixel_size=7.08, box_px=32, optics=OPTICS)
    blocks = read_blocks(path)
    assert blocks["optics"]["rlnMicrographPixelSize"].item() == 7.08
    assert blocks["optics"]["rlnImageSize"].item() == 32
    particles = blocks["particles"]
    assert (particles["rlnMicrographName"] == "mics/a.mrc").all() and (particles["rlnOpticsGroup"] == 1).all()
    for label in ("AngleRot", "AngleTilt", "AnglePsi", "DefocusU", "DefocusV", "DefocusAngle"):
        np.testing.assert_allclose(particles[f"rln{label}"], simulated.coordinates[f"rln{label}"], rtol=1e-8)
    read = read_coordinates(path, format="relion-particles")
    np.testing.assert_allclose(read[["x", "y"]], simulated.coordinates[["x", "y"]], rtol=1e-8)
    assert (read["micrograph"] == "a").all()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("relion_reconstruct") is None, reason="RELION is not on PATH: apt install relion")
def test_relion_reconstructs_the_density_from_the_truth(tmp_path, particle):
    tables, options = [], {**SETTINGS, "shape": (512, 512), "n_particles": (45, 45), "snr": 0.5}
    (tmp_path / "mics").mkdir()
    for name in "abcd":
        simulated = simulate_micrograph(particle, name=name, **{**options, "min_distance_angstrom": 200.0})
        write_mrc(tmp_path / f"mics/{name}.mrc", simulated.image, pixel_size=7.08, dtype="float32")
        tables.append(simulated.coordinates)
    truth, side = pd.concat(tables, ignore_index=True), len(particle)
    write_truth(tmp_path / "truth.star", truth, folder="mics", pixel_size=7.08, box_px=side, optics=OPTICS)
    optics = read_blocks(tmp_path / "truth.star")["optics"]
    paths = pd.DataFrame({"rlnMicrographName": [f"mics/{name}.mrc" for name in "abcd"], "rlnOpticsGroup": 1})
    write_blocks(tmp_path / "mics.star", {"optics": optics, "micrographs": paths})
    extract = (
        "relion_preprocess --i mics.star --reextract_data_star truth.star --part_star parts/p.star --part_dir parts/"
    )
    extract += f" --extract --extract_size {side} --norm --bg_radius {0.45 * side} --invert_contrast"
    for command in (extract, "relion_reconstruct --i parts/p.star --o density.mrc --ctf --maxres 20 --sym D2"):
        subprocess.run(command.split(), cwd=tmp_path, check=True, capture_output=True)
    density = read_volume(tmp_path / "density.mrc", pixel_size=7.08).density
    assert np.corrcoef(density.ravel(), particle.ravel())[0, 1] > 0.9


def test_noise_at_a_coarser_pixel_size_is_the_down_sampled_noise():
    rng = np.random.default_rng(0)
    clean = ball(32, 6)[16]
    fine = noise_sd(clean, pixel_size=2.0, snr=0.01, snr_pixel_size=2.0)
    coarse = noise_sd(clean, pixel_size=6.0, snr=0.01, snr_pixel_size=2.0)
    assert clean.var() / fine**2 == pytest.approx(0.01, rel=1e-5)
    down_sampled = fourier_resample(rng.normal(0, fine, (600, 600)), (200, 200))
    assert down_sampled.std() == pytest.approx(coarse, rel=0.02)


def test_clean_micrograph_is_minus_ctf_times_projections(simulated):
    # Far from the edge, where what lies beyond it does not count, against numpy's own transform of a larger canvas.
    defocus = simulated.coordinates["rlnDefocusU"].iloc[0]
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


def test_li_labels_of_the_phantom_are_one_filled_outline_each(particle):
    images = project(particle, draw_rotations(12, np.random.default_rng(0)))
    labels = threshold_label(images.reshape(-1, images.shape[-1])).reshape(images.shape)
    areas = labels.sum(axis=(1, 2))
    disc = np.pi * (180 / 7.08 / 2) ** 2
    for label in labels:
        assert ndimage.label(label)[1] == 1
        assert (ndimage.binary_fill_holes(label) == label).all()
    assert (areas > 0.4 * disc).all() and (areas < disc).all()
