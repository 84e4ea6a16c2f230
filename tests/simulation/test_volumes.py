import bz2
import gzip
import http.server
import math
import threading

import numpy as np
import pytest

from crisp_core.errors import UserError
from crisp_core.formats.mrc import write_mrc
from crisp_core.formats.settings import DownloadSettings
from crisp_core.formats.volumes import read_volume
from crisp_core.simulation.volumes import (
    Source,
    measured_diameter_px,
    model_density,
    phantom,
    read_density,
    resample_volume,
    volume_source,
)
from tests.densities import ball

BANKS = DownloadSettings(emdb_url="http://127.0.0.1:9/emdb", pdb_url="http://127.0.0.1:9/pdb")
# Electron form factors at s = 0 in Å (sums of the a of Peng et al. 1996, International Tables C 4.3.2.2).
FORWARD = {"C": 2.5088, "N": 2.2110, "O": 1.9825, "S": 5.1609}


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


def test_diameter_of_a_ball_holds_its_mass():
    # 98 % of a solid ball's volume lies within 0.98^(1/3) of its radius.
    assert measured_diameter_px(ball(64, 20, softness=0.1)) == pytest.approx(40 * 0.98 ** (1 / 3), abs=0.6)


@pytest.mark.parametrize("new_pixel_size", [1.3, 2.0, 3.1])
@pytest.mark.parametrize("side", [40, 41])
def test_resampled_ball_has_its_size_its_density_and_its_centre(side, new_pixel_size):
    volume = ball(side, 10, softness=2.0)
    result = resample_volume(volume, 2.0, new_pixel_size)
    assert len(result) % 2 == 0 and len(set(result.shape)) == 1
    expected = ball(len(result), 10 * 2.0 / new_pixel_size, softness=2.0 * 2.0 / new_pixel_size)
    np.testing.assert_allclose(result, expected, atol=0.03)


def test_resampling_pads_a_box_that_is_not_a_cube():
    volume = ball(40, 8)[4:36, :, 6:34]
    np.testing.assert_allclose(resample_volume(volume, 1.0, 1.0), ball(40, 8), atol=1e-3)


@pytest.mark.parametrize(
    "volume, expected",
    [
        ("EMD-2984", Source("emdb", "EMD-2984")),
        ("emd-12345", Source("emdb", "EMD-12345")),
        ("5a1a", Source("pdb", "5A1A")),
        ("5A1A", Source("pdb", "5A1A")),
        ("pdb:1234", Source("pdb", "1234")),
        ("maps/a.mrc", Source("map", "maps/a.mrc")),
        ("A.MAP.GZ", Source("map", "A.MAP.GZ")),
        ("../EMD-2984.map.bz2", Source("map", "../EMD-2984.map.bz2")),
        ("a.ccp4", Source("map", "a.ccp4")),
        ("5a1a.cif", Source("model", "5a1a.cif")),
        ("/x/pdb5a1a.ent.gz", Source("model", "/x/pdb5a1a.ent.gz")),
        ("x.pdb", Source("model", "x.pdb")),
    ],
)
def test_the_form_of_a_volume_says_what_it_is(volume, expected):
    assert volume_source(volume) == expected


@pytest.mark.parametrize("volume", ["", "EMD-12", "pdb:5a1", "5a1ab", "map.tif", "model.cif.bz2", "a.mrc.zip", "map"])
def test_an_unknown_form_is_refused_in_one_line(volume):
    with pytest.raises(UserError) as error:
        volume_source(volume)
    assert str(error.value) == (
        f"simulation/volume: {volume!r} is not a known form; give a density map (.mrc .map .ccp4, also .gz .bz2), "
        "an atomic model (.cif .mmcif .pdb .ent, also .gz), EMD-2984 (EMDB) or pdb:5a1a (PDB)"
    )


def density(volume, pixel_size, *, volume_pixel_size=None, resolution=4.0, downloads=BANKS):
    return read_density(
        str(volume),
        pixel_size=pixel_size,
        volume_pixel_size=volume_pixel_size,
        resolution_angstrom=resolution,
        downloads=downloads,
    )


@pytest.mark.parametrize("pack", [None, gzip, bz2])
def test_a_map_comes_at_the_asked_pixel_size(tmp_path, pack):
    path = tmp_path / "ball.mrc"
    write_mrc(path, ball(40, 10, softness=2.0), pixel_size=2.0, dtype=np.float32)
    if pack:
        content = path.read_bytes()
        path = path.with_suffix(".mrc.gz" if pack is gzip else ".mrc.bz2")
        path.write_bytes(pack.compress(content))
    result = density(path, 2.5)
    np.testing.assert_allclose(result, ball(len(result), 8, softness=1.6), atol=0.03)
    # the config wins over the header
    result = density(path, 2.5, volume_pixel_size=3.0)
    np.testing.assert_allclose(result, ball(len(result), 12, softness=2.4), atol=0.03)


def test_a_map_that_is_not_a_cube_is_padded(tmp_path):
    path = tmp_path / "oblong.map"
    write_mrc(path, ball(40, 8)[4:36, :, 6:34], pixel_size=1.5, dtype=np.float32)
    np.testing.assert_allclose(density(path, 1.5), ball(40, 8), atol=1e-3)


@pytest.mark.parametrize(("offset", "noise", "told"), [(0.1, 0.0, True), (-0.1, 0.05, True), (0.0, 0.0, False)])
def test_an_offset_around_the_particle_of_a_map_is_subtracted_and_noise_told(tmp_path, caplog, offset, noise, told):
    clean = ball(40, 10, softness=2.0)
    given = clean + offset + np.random.default_rng(0).normal(scale=noise, size=clean.shape)
    write_mrc(tmp_path / "ball.mrc", given, pixel_size=2.0, dtype=np.float32)
    result = density(tmp_path / "ball.mrc", 2.0)
    assert result.sum() == pytest.approx(clean.sum(), rel=0.05) and np.abs(result[0].mean()) < 0.01
    assert ("multiply the map by its mask" in caplog.text) == told


def test_a_map_that_cannot_be_used_is_refused_in_one_line(tmp_path):
    path = tmp_path / "ball.map"
    write_mrc(path, ball(16, 5), pixel_size=0.0, dtype=np.float32)
    with pytest.raises(UserError) as error:
        density(path, 2.0)
    assert str(error.value) == (
        f"{path}: the map does not state its pixel size; write it into its header, or, if it is that of a simulation, "
        "give volume_pixel_size"
    )
    assert len(density(path, 2.0, volume_pixel_size=2.0)) == 16
    write_mrc(path, ball(16, 5)[8], pixel_size=1.0, dtype=np.float32)
    with pytest.raises(UserError, match=r"ball\.map: holds an image, not a density map"):
        density(path, 2.0)
    content = path.read_bytes()
    path.write_bytes(content[:1500])
    with pytest.raises(UserError, match=r"ball\.map: truncated"):
        density(path, 2.0)
    (tmp_path / "cut.map.gz").write_bytes(gzip.compress(content)[:-200])
    with pytest.raises(UserError, match=r"cut\.map\.gz: broken archive"):
        density(tmp_path / "cut.map.gz", 2.0)
    with pytest.raises(UserError, match=r"none\.map: no such file"):
        density(tmp_path / "none.map", 2.0)


def pdb_file(path, atoms, *, remarks=""):
    """Write (element, (x, y, z)) as a PDB file; W is the oxygen of a water."""
    lines = []
    for i, (element, xyz) in enumerate(atoms, start=1):
        residue = "HOH" if element == "W" else "GLY"
        element = element.replace("W", "O")
        place = "".join(f"{value:8.3f}" for value in xyz)
        lines.append(f"ATOM  {i:5d}  {element:<3} {residue} A{i:4d}    {place}  1.00 50.00          {element:>2}")
    path.write_text(remarks + "\n".join(lines) + "\nEND\n")
    return path


def carbon_density(shape, centres_xyz, pixel_size, resolution):
    """Closed form of blurred carbon atoms, at positions in Å from voxel n // 2."""
    a = [0.0893, 0.2563, 0.7570, 1.0487, 0.3575]
    b = [0.2465, 1.7100, 6.4094, 18.6113, 50.2523]
    axes = [(np.arange(n) - n // 2) * pixel_size for n in shape]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    total = np.zeros(shape)
    for cx, cy, cz in centres_xyz:
        r2 = (x - cx) ** 2 + (y - cy) ** 2 + (z - cz) ** 2
        for height, width in zip(a, b, strict=True):
            width += 4 * resolution**2
            total += height * (4 * np.pi / width) ** 1.5 * np.exp(-4 * np.pi**2 * r2 / width)
    return total


def coarser(fine, factor):
    """Every `factor`-th voxel, after what it cannot hold is cut off the spectrum."""
    frequency = np.abs(np.fft.fftfreq(len(fine)) * len(fine))
    kept = frequency < len(fine) // factor / 2
    spectrum = np.fft.fftn(fine) * kept[:, None, None] * kept[:, None] * kept
    return np.fft.ifftn(spectrum).real[::factor, ::factor, ::factor]


# 1 Å/px is fine enough for one sample per pixel, 2 Å/px is not
@pytest.mark.parametrize("pixel_size", [1.0, 2.0])
def test_two_carbon_atoms_have_their_places_and_their_density(tmp_path, pixel_size):
    path = pdb_file(tmp_path / "two.pdb", [("C", (50, 20, -8)), ("C", (62, 28, -4))])
    result = model_density(path, pixel_size=pixel_size, resolution_angstrom=5.0)
    assert result.dtype == np.float32 and len(set(result.shape)) == 1 and len(result) % 2 == 0
    # centre of mass (56, 24, -6) at voxel n // 2, axes z, y, x
    centres = [(-6, -4, -2), (6, 4, 2)]
    fine = carbon_density(np.array(result.shape) * 4, centres, pixel_size / 4, 5.0)
    expected = coarser(fine, 4)
    np.testing.assert_allclose(result, expected, atol=2e-3 * expected.max())
    half, centre = np.array([2, 4, 6]) / pixel_size, len(result) // 2
    peaks = np.argwhere(result > 0.9 * result.max())
    assert {tuple(centre - half), tuple(centre + half)} <= {tuple(peak) for peak in peaks.astype(float)}


def test_the_density_adds_up_to_the_atoms(tmp_path):
    atoms = [("C", (0, 0, 0)), ("N", (1.4, 0, 0)), ("O", (2, 1.2, 0)), ("S", (-1, 1, 1.5)), ("C", (-1, -1, -1))]
    expected = 2 * FORWARD["C"] + FORWARD["N"] + FORWARD["O"] + FORWARD["S"]
    for pixel_size, resolution in [(0.8, 3.0), (1.5, 3.0), (3.0, 4.0), (3.0, 20.0)]:
        path = pdb_file(tmp_path / "sum.pdb", atoms)
        result = model_density(path, pixel_size=pixel_size, resolution_angstrom=resolution)
        assert result.sum() * pixel_size**3 == pytest.approx(expected, rel=2e-3)


def test_hydrogen_and_water_do_not_count(tmp_path):
    atoms = [("C", (0, 0, 0)), ("N", (5, 0, 0))]
    plain = model_density(pdb_file(tmp_path / "a.pdb", atoms), pixel_size=1.0, resolution_angstrom=4.0)
    more = [*atoms, ("H", (0, 3, 0)), ("W", (20, 20, 20))]
    np.testing.assert_array_equal(
        model_density(pdb_file(tmp_path / "b.pdb", more), pixel_size=1.0, resolution_angstrom=4.0), plain
    )


def test_the_assembly_is_made(tmp_path):
    # atoms at (6, 0, 0) and, turned by 180° around z, at (-6, 0, 0)
    remarks = (
        "REMARK 350 BIOMOLECULE: 1\n"
        "REMARK 350 APPLY THE FOLLOWING TO CHAINS: A\n"
        "REMARK 350   BIOMT1   1  1.000000  0.000000  0.000000        0.00000\n"
        "REMARK 350   BIOMT2   1  0.000000  1.000000  0.000000        0.00000\n"
        "REMARK 350   BIOMT3   1  0.000000  0.000000  1.000000        0.00000\n"
        "REMARK 350   BIOMT1   2 -1.000000  0.000000  0.000000        0.00000\n"
        "REMARK 350   BIOMT2   2  0.000000 -1.000000  0.000000        0.00000\n"
        "REMARK 350   BIOMT3   2  0.000000  0.000000  1.000000        0.00000\n"
    )
    path = pdb_file(tmp_path / "dimer.pdb", [("C", (6, 0, 0))], remarks=remarks)
    result = model_density(path, pixel_size=1.0, resolution_angstrom=5.0)
    expected = carbon_density(result.shape, [(-6, 0, 0), (6, 0, 0)], 1.0, 5.0)
    np.testing.assert_allclose(result, expected, atol=1e-3 * expected.max())


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("a.cif", b"garbage", "is not a readable mmCIF or PDB file"),
        ("a.cif", b"data_a\n_cell.length_a 1\n", "contains no atoms; give a file"),
        ("a.pdb", b"garbage", "contains no atoms; give a file"),
        ("a.cif.gz", gzip.compress(b"data_a\n" * 1000, mtime=0)[:-20], "is not a readable mmCIF or PDB file"),
    ],
)
def test_a_model_that_cannot_be_used_is_refused_in_one_line(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=f"{name}: {message}") as error:
        density(tmp_path / name, 2.0)
    assert "\n" not in str(error.value)
    with pytest.raises(UserError, match=r"none\.pdb: no such file; check the path"):
        density(tmp_path / "none.pdb", 2.0)


@pytest.fixture
def bank(tmp_path, monkeypatch):
    """Folder that a server shows, and the addresses in it as the config has them."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    folder = tmp_path / "bank"
    (folder / "emdb/EMD-2984/map").mkdir(parents=True)
    (folder / "pdb").mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=folder)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    yield folder, DownloadSettings(folder=str(tmp_path / "cache"), emdb_url=f"{url}/emdb", pdb_url=f"{url}/pdb")
    server.shutdown()
    server.server_close()
    thread.join()


def test_entries_of_the_data_banks_are_fetched(bank, tmp_path):
    folder, downloads = bank
    write_mrc(tmp_path / "ball.map", ball(24, 7), pixel_size=2.0, dtype=np.float32)
    (folder / "emdb/EMD-2984/map/emd_2984.map.gz").write_bytes(gzip.compress((tmp_path / "ball.map").read_bytes()))
    np.testing.assert_array_equal(density("emd-2984", 3.0, downloads=downloads), density(tmp_path / "ball.map", 3.0))
    keys = (
        "group_PDB id type_symbol label_atom_id label_alt_id label_comp_id label_asym_id label_entity_id label_seq_id "
        "pdbx_PDB_ins_code Cartn_x Cartn_y Cartn_z occupancy B_iso_or_equiv auth_seq_id auth_asym_id pdbx_PDB_model_num"
    )
    header = "".join(f"_atom_site.{key}\n" for key in keys.split())
    atoms = "ATOM 1 C CA . GLY A 1 1 ? 0 0 0 1 30 1 A 1\nATOM 2 C CA . GLY A 1 2 ? 9 0 0 1 70 2 A 1\n"
    structure = f"data_5A1A\nloop_\n{header}{atoms}"
    (folder / "pdb/5A1A.cif.gz").write_bytes(gzip.compress(structure.encode()))
    result = density("pdb:5a1a", 1.5, resolution=6.0, downloads=downloads)
    expected = carbon_density(result.shape, [(-4.5, 0, 0), (4.5, 0, 0)], 1.5, 6.0)
    np.testing.assert_allclose(result, expected, atol=1e-3 * expected.max())
    assert {path.name for path in (tmp_path / "cache").iterdir()} == {"emd_2984.map.gz", "5A1A.cif.gz"}
    with pytest.raises(UserError, match=r"emd_9999\.map\.gz: the server has no such file \(404\)"):
        density("EMD-9999", 2.0, downloads=downloads)


def principal_radii(volume, pixel_size):
    """Centre (x, y, z) and the principal radii of gyration of a density, in Å; no rotation changes the radii."""
    grid = [axis.astype(float) - len(volume) // 2 for axis in np.indices(volume.shape)[::-1]]
    weight = volume / volume.sum(dtype=float)
    moments = [[(weight * a * b).sum() for a in grid] for b in grid]
    centre = np.array([(weight * a).sum() for a in grid])
    return centre * pixel_size, np.sqrt(np.linalg.eigvalsh(moments)) * pixel_size


def radial_power(volume):
    """Mean |Fourier transform|² in shells of whole radii, 1 at zero frequency."""
    spectrum = abs(np.fft.fftshift(np.fft.fftn(volume))) ** 2
    grid = np.indices(volume.shape) - len(volume) // 2
    radius = np.sqrt((grid**2).sum(axis=0)).round().astype(int).ravel()
    power = np.bincount(radius, spectrum.ravel()) / np.bincount(radius)
    return power / power[0]


@pytest.mark.slow
@pytest.mark.real
def test_betagalactosidase_agrees_with_a_map_that_others_made_of_the_model(shared_data):
    given = read_volume(shared_data / "maps/sim_5a1a_bgal_D2_3.54A_80.mrc")
    ours = density(shared_data / "models/5a1a.cif.gz", 3.54, resolution=5.4)
    centre, radii = principal_radii(ours, 3.54)
    np.testing.assert_allclose(radii, principal_radii(*given)[1], rtol=5e-3)
    assert abs(centre).max() < 0.1
    # fine pixels, since the sharp end of a coarse one's spectrum leaves ripples around the particle
    fine = density(shared_data / "models/5a1a.cif.gz", 1.77, resolution=5.4)
    assert measured_diameter_px(fine) * 1.77 == pytest.approx(measured_diameter_px(given.density) * 3.54, rel=0.04)
    padding = (len(given.density) - len(ours)) // 2
    # up to 7.6 Å; one tetramer in two frames
    ratio = radial_power(np.pad(ours, padding))[:38] / radial_power(given.density)[:38]
    np.testing.assert_allclose(ratio, 1, atol=0.12)


@pytest.mark.real
def test_apoferritin_is_made_whole_from_one_chain(shared_data):
    volume = density(shared_data / "models/7a4m.cif.gz", 2.0)
    centre, radii = principal_radii(volume, 2.0)
    # a hollow sphere: outside 120–130 Å wide, inside about 80 Å
    assert abs(centre).max() < 0.05 and np.ptp(radii) < 0.01
    radius = np.sqrt(((np.indices(volume.shape) - len(volume) // 2) ** 2).sum(axis=0)) * 2.0
    shells = [volume[(radius > low) & (radius <= low + 5)].mean() for low in range(0, 75, 5)]
    assert np.abs(shells[:6]).max() < 0.02 and min(shells[9:11]) > 0.1 and np.abs(shells[13:]).max() < 0.02
    # octahedral: a quarter turn around an axis changes nothing
    inner = volume[1:, 1:, 1:]
    np.testing.assert_allclose(np.rot90(inner, axes=(1, 2)), inner, atol=0.01 * volume.max())
    lines = gzip.decompress((shared_data / "models/7a4m.cif.gz").read_bytes()).decode().splitlines()
    atoms = [line.split() for line in lines if line.startswith(("ATOM ", "HETATM "))]
    # columns: type_symbol 3rd, label_comp_id 6th, occupancy 14th
    chain = sum(FORWARD.get(atom[2], 0) * float(atom[13]) for atom in atoms if atom[5] != "HOH")
    assert volume.sum() * 2.0**3 == pytest.approx(24 * chain, rel=0.01)


@pytest.mark.real
@pytest.mark.parametrize("name", ["mrcfile_EMD-3197.map", "mrcfile_emd_3197.map.gz", "mrcfile_EMD-3197.map.bz2"])
def test_a_map_of_the_data_bank(shared_data, name):
    result = density(shared_data / "maps" / name, 11.4)
    given = read_volume(shared_data / "maps" / name).density
    # the frequency at the edge of the spectrum, which has no positive counterpart, is left out
    assert np.corrcoef(result.ravel(), given.ravel())[0, 1] > 0.99


@pytest.mark.real
def test_a_real_map_without_pixel_size_and_one_that_is_not_a_cube(shared_data):
    ribosome = shared_data / "maps/aspire_clean70SRibosome_vol_65p.mrc"
    with pytest.raises(UserError, match="does not state its pixel size; write it into its header"):
        density(ribosome, 10.0)
    assert len(density(ribosome, 10.0, volume_pixel_size=5.0)) == pytest.approx(32.5, abs=4)
    oblong = density(shared_data / "maps/banjac_5j0n.mrc", 5.0)
    assert len(set(oblong.shape)) == 1 and len(oblong) >= math.ceil(75 * 3.6667 / 5.0)
