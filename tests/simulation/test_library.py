import h5py
import numpy as np
import pytest
import scipy.spatial

from crisp_core.formats.mrc import write_mrc
from crisp_core.formats.settings import DownloadSettings
from crisp_core.simulation.library import (
    LibraryVolume,
    build_library,
    build_volume,
    centred_on_mass,
    extent_of_density,
    longest_extent,
    read_library,
    write_volume,
)
from crisp_core.simulation.map_particle import particle_sum
from crisp_core.simulation.micelle import Slab
from tests.densities import ball

BANKS = DownloadSettings(emdb_url="http://127.0.0.1:9/emdb", pdb_url="http://127.0.0.1:9/pdb")


def test_longest_extent_is_the_largest_of_all_distances():
    points = np.random.default_rng(1).normal(size=(300, 3)) * (1, 2, 5)
    assert longest_extent(points) == pytest.approx(scipy.spatial.distance.pdist(points).max())
    # points in a plane have no hull of three dimensions
    assert longest_extent(points * (1, 1, 0)) == pytest.approx(scipy.spatial.distance.pdist(points[:, :2]).max())


def test_extent_of_a_ball_and_of_a_rod_of_balls():
    assert extent_of_density(ball(48, 12, softness=0.2)) == pytest.approx(24, abs=1.5)
    rod = np.maximum(ball(64, 5, (-15, 0, 0), 0.2), ball(64, 5, (15, 0, 0), 0.2))
    assert extent_of_density(rod) == pytest.approx(40, abs=1.5)


@pytest.mark.parametrize("offset", [0.0, 0.05])
def test_noise_and_an_offset_around_the_particle_of_a_map_count_for_nothing(tmp_path, offset):
    particle = ball(80, 14, softness=0.5)
    noise = np.random.default_rng(1).normal(0, 0.1, particle.shape)
    assert extent_of_density(particle + noise) > 100
    write_mrc(tmp_path / "noisy.mrc", particle + noise + offset, pixel_size=5, dtype=np.float32)
    volume = build_volume(
        str(tmp_path / "noisy.mrc"), extent_px=30, resolution_angstrom=8, membrane=False, downloads=BANKS
    )
    # 28 voxels of 5 Å are 140 Å
    assert volume.pixel_size * 30 == pytest.approx(140, rel=0.15)
    whole, alone = (particle_sum(one) for one in (particle, particle + noise + offset))
    assert alone == pytest.approx(whole, rel=0.1) and whole == pytest.approx(particle.sum(), rel=1e-5)


def test_faint_parts_of_a_clean_map_stay(tmp_path):
    """Detergent around a protein, and a rod so thin that most of its box is empty."""
    core, whole = ball(80, 12), np.maximum(ball(80, 12), 0.2 * ball(80, 30))
    assert particle_sum(whole) == pytest.approx(whole.sum(), rel=1e-6) and whole.sum() > 2 * core.sum()
    write_mrc(tmp_path / "clean.mrc", whole, pixel_size=3, dtype=np.float32)
    volume = build_volume(
        str(tmp_path / "clean.mrc"), extent_px=24, resolution_angstrom=8, membrane=False, downloads=BANKS
    )
    assert volume.density.sum() * volume.pixel_size**3 == pytest.approx(27 * whole.sum(), rel=0.02)
    whole[2, 2, 2] = whole[77, 77, 77] = 1
    write_mrc(tmp_path / "dust.mrc", whole, pixel_size=3, dtype=np.float32)
    dusty = build_volume(
        str(tmp_path / "dust.mrc"), extent_px=24, resolution_angstrom=8, membrane=False, downloads=BANKS
    )
    assert dusty.pixel_size == volume.pixel_size
    rod = np.zeros((80, 80, 80), np.float32)
    rod[10:70, 40, 40] = 1
    assert particle_sum(rod) == 60


def test_density_is_moved_to_its_centre_of_mass():
    density = np.zeros((20, 24, 30), dtype=np.float32)
    density[3:8, 10:21, 20:29] = 1
    cube = centred_on_mass(density)
    middle = np.argwhere(cube).mean(axis=0)
    np.testing.assert_allclose(middle, len(cube) // 2, atol=0.5)
    assert cube.sum() == density.sum()


def test_a_map_gets_the_asked_number_of_voxels(tmp_path):
    path = tmp_path / "ball.mrc"
    write_mrc(path, np.pad(ball(40, 9, softness=0.2), ((0, 20), (0, 0), (0, 0))), pixel_size=5, dtype=np.float32)
    volume = build_volume(str(path), extent_px=30, resolution_angstrom=8, membrane=False, downloads=BANKS)
    assert extent_of_density(volume.density) == pytest.approx(30, abs=1.5)
    # 18 voxels of 5 Å are 90 Å
    assert volume.pixel_size * 30 == pytest.approx(90, rel=0.07)
    n = len(volume.density)
    center = np.array(np.unravel_index(np.argsort(volume.density.ravel())[-500:], (n, n, n))).mean(axis=1)
    np.testing.assert_allclose(center, n // 2, atol=1.0)


@pytest.mark.real
def test_extents_of_models_are_those_of_the_table(shared_data):
    # lengths from ../shared/data/models/models.tsv, which were measured by another program
    for name, longest in {"1hv4": 70, "1igt": 165, "5k8r": 195, "3j9i": 182, "1stm": 172}.items():
        path = str(shared_data / f"models/{name}.cif.gz")
        volume = build_volume(path, extent_px=32, resolution_angstrom=8, membrane=False, downloads=BANKS)
        assert volume.pixel_size * 32 == pytest.approx(longest, rel=0.06)
        assert extent_of_density(volume.density) == pytest.approx(32, abs=3.5)


def test_library_comes_back_as_it_was_written(tmp_path):
    path, density = tmp_path / "library.h5", ball(20, 6)
    first, second = (
        LibraryVolume(density, 12.0, 4.5, Slab(np.array([0.0, 0.6, 0.8]), -7.0)),
        LibraryVolume(density, 12, 3),
    )
    with h5py.File(path, "w") as file:
        write_volume(file, "b", first)
        write_volume(file, "a", second)
    found = read_library(path)
    assert list(found) == ["a", "b"] and found["a"].slab is None
    np.testing.assert_array_equal(found["b"].density, density)
    np.testing.assert_array_equal(found["b"].slab.normal, first.slab.normal)
    assert found["b"][1:3] == (12.0, 4.5) and found["b"].slab.offset == -7


@pytest.mark.real
def test_library_looks_for_the_membrane_of_membrane_proteins_alone(tmp_path, shared_data):
    volumes = {name: str(shared_data / f"models/{name}.cif.gz") for name in ("2nwl", "1hv4")}
    path = tmp_path / "library.h5"
    options = {"extent_px": 30, "resolution_angstrom": 8, "downloads": BANKS}
    assert list(build_library(path, volumes, membrane=["2nwl"], **options)) == ["2nwl", "1hv4"]
    found = read_library(path)
    assert found["1hv4"].slab is None
    # GltPh in the frame of OPM: the normal is z, the membrane's middle is the origin
    assert abs(found["2nwl"].slab.normal[2]) > 0.98
