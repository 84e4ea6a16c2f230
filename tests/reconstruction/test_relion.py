"""RELION's own programs read what we write, and find in it what was put in."""

import re
import shutil
import subprocess

import mrcfile
import numpy as np
import pandas as pd
import pytest
import tifffile

from benchmarks import extraction
from crisp_core.ctf import ctf as transfer_function
from crisp_core.ctf import through_ctf
from crisp_core.datasets.exported import export_mrc, exported_name, linkable
from crisp_core.datasets.importing_ctf import import_ctf
from crisp_core.formats.coordinates.table import coordinates_table
from crisp_core.formats.images import read_micrograph
from crisp_core.formats.mrc import write_mrc
from crisp_core.formats.relion_autopick import write_autopick
from crisp_core.formats.relion_ctf import MicrographsCtf, write_micrographs_ctf
from crisp_core.formats.relion_labels import CTF_LABELS
from crisp_core.formats.relion_optics import optics_table
from crisp_core.formats.relion_particles import particles_table, write_particles_star
from crisp_core.formats.star import read_blocks, write_blocks
from crisp_core.particles.boxes import cut_boxes
from crisp_core.particles.extraction import extract_particles
from crisp_core.particles.stacks import write_stack
from crisp_core.simulation.centers import draw_rotations
from crisp_core.simulation.projections import place_projections, project

PIXEL_SIZE, BOX, BG_RADIUS, SIDE = 7.08, 40, 15, 600
OPTICS = {"voltage_kv": 300, "spherical_aberration_mm": 2.7, "amplitude_contrast": 0.1}
DEFOCUS = {"m1": (12000.0, 6000.0, 35.0), "m2": (16000.0, 9000.0, -40.0), "m3": (18000.0, 12000.0, 30.0)}
SIZES = ("box_px", "size_px", "bg_radius_px")
PATHS = {name: f"Import/job001/{name}.mrc" for name in DEFOCUS}


def need(program):
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not on PATH: install RELION (Debian: apt-get install relion)")


def relion(program, *options, cwd):
    """Run one of RELION's programs and return what it prints; skip where it is not installed."""
    need(program)
    done = subprocess.run([program, *map(str, options)], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, f"{program}: {done.stdout[-500:]} {done.stderr[-2000:]}"
    return done.stdout


def chiral_density():
    """Many small balls without symmetry, so that a mirrored or turned map differs in every shell."""
    rng = np.random.default_rng(5)
    centres = rng.uniform(-1, 1, (200, 3))
    centres = 12 * centres[np.linalg.norm(centres, axis=1) < 1][:60]
    z, y, x = np.mgrid[:BOX, :BOX, :BOX] - BOX // 2
    blobs = (np.exp(-((z - c) ** 2 + (y - b) ** 2 + (x - a) ** 2) / 2 / 0.8**2) for a, b, c in centres)
    return sum(blobs).astype(np.float32)


def jittered_grid(rng):
    """Positions to fractions of a pixel, one per box, the outermost with their boxes over the edge."""
    corners = np.stack(np.meshgrid(*[np.arange(14) * 42 + 14.0] * 2), axis=-1).reshape(-1, 2)
    return corners + rng.uniform(0, 20, corners.shape)


def make_micrograph(density, xy, euler_deg, defocus, rng):
    """Dark protein through an astigmatic CTF, in noise as strong as the signal inside a particle."""
    clean = place_projections((SIDE, SIDE), project(density, euler_deg), xy)
    names = ("defocus_u_angstrom", "defocus_v_angstrom", "defocus_angle_deg")
    seen = -through_ctf(clean, pixel_size=PIXEL_SIZE, **OPTICS, **dict(zip(names, defocus, strict=True)))
    return (seen + rng.normal(scale=1.5 * seen.std(), size=seen.shape)).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A project directory: three micrographs, their picks, and particles with true angles, origins and CTF."""
    need("relion_refine")
    folder, rng, density = tmp_path_factory.mktemp("relion"), np.random.default_rng(3), chiral_density()
    (folder / "Import/job001").mkdir(parents=True)
    tables, stacks, angles = [], [], []
    for name, defocus in DEFOCUS.items():
        xy = jittered_grid(rng)
        angles.append(draw_rotations(len(xy), rng))
        image = make_micrograph(density, xy, angles[-1], defocus, rng)
        write_mrc(folder / PATHS[name], image, pixel_size=PIXEL_SIZE, dtype=np.float32)
        stacks.append(extract_particles(image, xy, box_px=BOX, bg_radius_px=BG_RADIUS).stack)
        tables.append(coordinates_table([name] * len(xy), *xy.T, score=rng.uniform(size=len(xy))))
    picks = pd.concat(tables, ignore_index=True)
    write_stack(folder / "particles.mrcs", stacks, size_px=BOX, pixel_size=PIXEL_SIZE)
    ctf = pd.DataFrame([(name, *values) for name, values in DEFOCUS.items()], columns=["micrograph", *CTF_LABELS])
    particles = particles_table(
        picks, stack="particles.mrcs", micrograph_paths=PATHS, ctf=ctf.rename(columns=CTF_LABELS)
    )
    particles[["rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"]] = np.concatenate(angles)
    # the box's middle is the truncated coordinate, and position minus origin is where the particle is
    whole = np.trunc(picks[["x", "y"]])
    particles[["rlnOriginXAngst", "rlnOriginYAngst"]] = PIXEL_SIZE * (whole - picks[["x", "y"]]).to_numpy()
    write_particles_star(folder / "particles.star", optics(), particles)
    picks.to_pickle(folder / "picks.pickle")
    return folder


def optics():
    return optics_table(**OPTICS, micrograph_pixel_size=PIXEL_SIZE, pixel_size=PIXEL_SIZE, box_px=BOX)


def fourier_shell_correlation(a, b):
    """Correlation of two maps (n, n, n) per shell of one frequency step, 0 to Nyquist."""
    n = len(a)
    frequency = np.fft.fftfreq(n, 1 / n)
    shell = np.rint(np.sqrt(sum(f**2 for f in np.meshgrid(frequency, frequency, frequency)))).astype(int).ravel()
    f, g = np.fft.fftn(a).ravel(), np.fft.fftn(b).ravel()
    sums = [np.bincount(shell, product)[: n // 2 + 1] for product in ((f * g.conj()).real, abs(f) ** 2, abs(g) ** 2)]
    return sums[0] / np.sqrt(sums[1] * sums[2])


def test_relion_reads_every_image_of_our_stack(folder):
    relion("relion_stack_create", "--i", "particles.star", "--o", "copied", cwd=folder)
    with mrcfile.open(folder / "copied.mrcs") as copied, mrcfile.open(folder / "particles.mrcs") as ours:
        np.testing.assert_array_equal(copied.data, ours.data)
    assert len(read_blocks(folder / "copied.star")["particles"]) == 588


def test_relion_measures_the_same_images_and_pixel_size(folder):
    printed = relion("relion_image_handler", "--i", "particles.mrcs", "--stats", cwd=folder)
    pattern = r"(\d+)@particles.mrcs : .*= 40 x 40 x 1 x 1 ; avg= (\S+) stddev= (\S+) .*angpix = (\S+)"
    number, mean, sd, pixel_size = np.array(re.findall(pattern, printed), dtype=float).T
    ours = mrcfile.read(folder / "particles.mrcs").astype(float)
    np.testing.assert_array_equal(number, np.arange(1, 589))
    np.testing.assert_allclose(pixel_size, PIXEL_SIZE, rtol=1e-5)
    np.testing.assert_allclose(mean, ours.mean(axis=(1, 2)), atol=1e-5)
    np.testing.assert_allclose(sd, ours.std(axis=(1, 2)), rtol=1e-4)


def reconstructed(folder, blocks, name):
    write_particles_star(folder / f"{name}.star", blocks["optics"], blocks["particles"])
    relion("relion_reconstruct", "--i", f"{name}.star", "--o", f"{name}.mrc", "--ctf", cwd=folder)
    return fourier_shell_correlation(mrcfile.read(folder / f"{name}.mrc"), chiral_density())[1:]


@pytest.mark.slow
def test_relion_reconstructs_the_density_from_our_particles(folder):
    relion("relion_reconstruct", "--i", "particles.star", "--o", "map.mrc", "--ctf", cwd=folder)
    found, true = mrcfile.read(folder / "map.mrc"), chiral_density()
    shells = round(BOX / 2.5)
    # the correlation is positive: protein is white; that of the other hand is not
    assert fourier_shell_correlation(found, true)[1 : shells + 1].min() > 0.5
    assert fourier_shell_correlation(found[::-1], true)[1 : shells + 1].min() < 0.2


@pytest.mark.slow
def test_whatever_was_wrong_would_show_in_the_reconstruction(folder):
    """Origins, the sign of an angle, the defocus and the sense of its angle, each wrong alone."""
    blocks = read_blocks(folder / "particles.star")
    right, given = reconstructed(folder, blocks, "right"), blocks["particles"]
    wrong = {
        "origins": {"rlnOriginXAngst": -given["rlnOriginXAngst"], "rlnOriginYAngst": -given["rlnOriginYAngst"]},
        "psi": {"rlnAnglePsi": -given["rlnAnglePsi"]},
        "defocus": {"rlnDefocusU": 2 * given["rlnDefocusU"], "rlnDefocusV": 2 * given["rlnDefocusV"]},
        "astigmatism": {"rlnDefocusAngle": -given["rlnDefocusAngle"]},
    }
    for name, columns in wrong.items():
        found = reconstructed(folder, blocks | {"particles": given.assign(**columns)}, name)
        assert found.mean() < right.mean() - 0.05, name


@pytest.mark.slow
def test_relion_classifies_our_particles_for_an_iteration(folder):
    blocks = read_blocks(folder / "particles.star")
    write_particles_star(folder / "few.star", blocks["optics"], blocks["particles"].iloc[:100])
    (folder / "classes").mkdir()
    options = "--i few.star --o classes/run --iter 1 --K 2 --ctf --particle_diameter 220 --psi_step 30 --oversampling 0"
    more = "--offset_range 2 --offset_step 2 --zero_mask --dont_combine_weights_via_disc --random_seed 1 --j 1"
    relion("relion_refine", *options.split(), *more.split(), cwd=folder)
    assert mrcfile.read(folder / "classes/run_it001_classes.mrcs").shape == (2, BOX, BOX)
    classified = read_blocks(folder / "classes/run_it001_data.star")["particles"]
    assert sorted(classified["rlnImageName"]) == sorted(blocks["particles"]["rlnImageName"][:100])


def optics_of_micrographs():
    table = optics().drop(columns=["rlnImagePixelSize", "rlnImageSize", "rlnImageDimensionality"])
    return table.assign(rlnMicrographPixelSize=PIXEL_SIZE)


def micrographs_star(folder):
    micrographs = pd.DataFrame({"rlnMicrographName": list(PATHS.values()), "rlnOpticsGroup": 1})
    write_blocks(folder / "micrographs.star", {"optics": optics_of_micrographs(), "micrographs": micrographs})


def test_relion_extracts_our_autopicks_to_our_pixels(folder, monkeypatch):
    """RELION 3.1 has no list of coordinate files: it looks for `coord_dir` + name behind the job's folder + suffix."""
    monkeypatch.chdir(folder)
    write_autopick("autopick.star", "autopick", pd.read_pickle("picks.pickle"), PATHS)
    micrographs_star(folder)
    options = "--i micrographs.star --coord_dir autopick/ --coord_suffix _autopick.star --part_dir theirs/"
    more = f"--part_star theirs.star --extract --extract_size {BOX} --norm --bg_radius {BG_RADIUS} --invert_contrast"
    relion("relion_preprocess", *options.split(), *more.split(), cwd=folder)
    theirs = np.concatenate([mrcfile.read(folder / f"theirs/{name}.mrcs") for name in PATHS])
    ours = mrcfile.read(folder / "particles.mrcs")
    difference = np.sqrt(np.mean((theirs - ours) ** 2, axis=(1, 2)) / np.mean(ours**2, axis=(1, 2)))
    assert difference.max() < 1e-4
    table, given = (read_blocks(folder / name)["particles"] for name in ("theirs.star", "particles.star"))
    for label in ("rlnCoordinateX", "rlnCoordinateY", "rlnAutopickFigureOfMerit"):
        np.testing.assert_allclose(table[label], given[label], atol=1e-5)
    assert list(table["rlnMicrographName"]) == list(given["rlnMicrographName"])


def test_relion_takes_our_particles_as_coordinates(folder):
    """The way that needs no layout of folders: `--reextract_data_star` with particles.star."""
    micrographs_star(folder)
    options = "--i micrographs.star --reextract_data_star particles.star --part_dir again/ --part_star again.star"
    more = f"--extract --extract_size {BOX} --norm --bg_radius {BG_RADIUS} --invert_contrast"
    relion("relion_preprocess", *options.split(), *more.split(), cwd=folder)
    again = np.concatenate([mrcfile.read(folder / f"again/{name}.mrcs") for name in PATHS])
    np.testing.assert_allclose(again, mrcfile.read(folder / "particles.mrcs"), atol=2e-4)


@pytest.fixture(scope="module")
def tiff_project(tmp_path_factory):
    """A TIFF with a CTF as RELION's own job gives it, in RELION's view of the file, and what CRISP makes of both."""
    need("relion_preprocess")
    folder, rng = tmp_path_factory.mktemp("tiff"), np.random.default_rng(8)
    (folder / "Import/job001").mkdir(parents=True)
    noise, lens = rng.normal(size=(SIDE - 40, SIDE)), dict(zip(CTF_LABELS.values(), DEFOCUS["m1"], strict=True))
    seen = through_ctf(noise, pixel_size=PIXEL_SIZE, **OPTICS, **lens).astype(np.float32)
    tifffile.imwrite(folder / "Import/job001/t.tif", seen[::-1])
    line = pd.DataFrame({"rlnMicrographName": ["Import/job001/t.tif"], "rlnOpticsGroup": [1]})
    given = dict(zip(CTF_LABELS, DEFOCUS["m1"], strict=True))
    write_blocks(folder / "given.star", {"optics": optics_of_micrographs(), "micrographs": line.assign(**given)})
    tiff = str(folder / "Import/job001/t.tif")
    ctf, groups = import_ctf(str(folder / "given.star"), {"t": tiff}, pixel_size=PIXEL_SIZE, **OPTICS).ctf
    export_mrc(tiff, folder / "Import/job001/t.mrc", name="t", pixel_size=PIXEL_SIZE)
    xy = rng.uniform(30, SIDE - 70, (150, 2))
    picks = coordinates_table(["t"] * len(xy), *xy.T, score=rng.uniform(size=len(xy)))
    image = read_micrograph(tiff, pixel_size=PIXEL_SIZE).image
    paths = {"t": f"Import/job001/{exported_name(tiff)}"}
    write_stack(folder / "p.mrcs", [cut_boxes(image, xy, box_px=BOX)], size_px=BOX, pixel_size=PIXEL_SIZE)
    table = particles_table(picks, stack="p.mrcs", micrograph_paths=paths, ctf=ctf)
    write_particles_star(folder / "p.star", optics(), table)
    write_micrographs_ctf(folder / "ours.star", MicrographsCtf(ctf, groups), paths, pixel_size=PIXEL_SIZE)
    picks.to_pickle(folder / "picks.pickle")
    return folder


def relions_windows(folder, micrographs, *options):
    """Windows that RELION cuts out, neither normalised nor inverted, and their star file."""
    more = f"--part_dir theirs/ --part_star theirs.star --extract --extract_size {BOX}".split()
    relion("relion_preprocess", "--i", micrographs, *options, *more, cwd=folder)
    table = read_blocks(folder / "theirs.star")["particles"]
    return mrcfile.read(folder / table["rlnImageName"].iloc[0].split("@")[1]), table


def test_relion_finds_the_pixels_of_a_tiff_in_its_mrc(tiff_project, monkeypatch):
    monkeypatch.chdir(tiff_project)
    ours = mrcfile.read("p.mrcs")
    again, _ = relions_windows(tiff_project, "ours.star", "--reextract_data_star", "p.star")
    np.testing.assert_array_equal(again, ours)
    write_autopick("autopick.star", "autopick", pd.read_pickle("picks.pickle"), {"t": "Import/job001/t.mrc"})
    options = ("--coord_dir", "autopick/", "--coord_suffix", "_autopick.star")
    again, table = relions_windows(tiff_project, "ours.star", *options)
    np.testing.assert_array_equal(again, ours)
    assert (table["rlnDefocusAngle"] == -DEFOCUS["m1"][2]).all()
    # the TIFF itself is upside down to RELION; if this fails, RELION is another and MRC files are not needed
    again, _ = relions_windows(tiff_project, "given.star", *options)
    assert abs(np.corrcoef(again.ravel(), ours.ravel())[0, 1]) < 0.1


def test_the_astigmatism_of_a_tiff_lies_right_in_relions_view_and_in_ours(tiff_project, monkeypatch):
    """Each angle fits the power spectrum of its images, and the opposite angle does not."""
    monkeypatch.chdir(tiff_project)
    flipped = pd.read_pickle("picks.pickle").assign(y=lambda picks: SIDE - 40 - 1 - picks["y"])
    write_autopick("flipped.star", "flipped", flipped, {"t": "Import/job001/t.tif"})
    options = ("--coord_dir", "flipped/", "--coord_suffix", "_autopick.star")
    for micrographs, coordinates in (("given.star", options), ("ours.star", ("--reextract_data_star", "p.star"))):
        windows, table = relions_windows(tiff_project, micrographs, *coordinates)
        power = (np.abs(np.fft.rfft2(windows)) ** 2).mean(axis=0)
        lens = {column: float(table[label].iloc[0]) for label, column in CTF_LABELS.items()}
        fits = []
        for sign in (1, -1):
            lens_there = lens | {"defocus_angle_deg": sign * lens["defocus_angle_deg"]}
            expected = transfer_function((BOX, BOX), pixel_size=PIXEL_SIZE, **OPTICS, **lens_there) ** 2
            fits.append(np.corrcoef(power.ravel(), expected.ravel())[0, 1])
        assert fits[0] > fits[1] + 0.1, micrographs


@pytest.mark.parametrize(("kind", "flags"), [("int8", 0), ("int8", 1), ("uint16", 0)])
def test_relion_reads_modes_0_and_6_as_signed_whatever_the_file_says(tmp_path, kind, flags):
    """Why these are not linked but written in another mode; `flags` is IMOD's sign of the bytes."""
    image = np.linspace(0, np.iinfo(kind).max * (2 if kind == "int8" else 1), 128).reshape(8, 16)
    stored = image.astype(np.uint8).view(np.int8) if kind == "int8" else image.astype(kind)
    write_mrc(tmp_path / "given.mrc", stored, pixel_size=2.0, dtype=kind)
    content = bytearray((tmp_path / "given.mrc").read_bytes())
    content[152:160] = (1146047817).to_bytes(4, "little") + flags.to_bytes(4, "little")
    claimed = stored.view(np.uint8) if kind == "int8" and not flags else stored
    content[76:84] = np.array([claimed.min(), claimed.max()], dtype="<f4").tobytes()
    (tmp_path / "given.mrc").write_bytes(content)
    assert not linkable(tmp_path / "given.mrc")
    signed = stored.view(np.int8 if kind == "int8" else np.int16)
    np.testing.assert_array_equal(read_by_relion(tmp_path, "given.mrc"), signed)
    export_mrc(tmp_path / "given.mrc", tmp_path / "ours.mrc", name="given", pixel_size=2.0)
    ours = read_micrograph(tmp_path / "given.mrc", pixel_size=2.0).image
    np.testing.assert_array_equal(read_by_relion(tmp_path, "ours.mrc"), ours)


@pytest.mark.parametrize("kind", ["int16", "float32"])
def test_what_is_linked_is_read_by_relion_as_by_us(tmp_path, kind):
    image = np.random.default_rng(2).integers(-32768, 32768, (8, 16))
    write_mrc(tmp_path / "given.mrc", image, pixel_size=2.0, dtype=kind)
    assert linkable(tmp_path / "given.mrc")
    ours = read_micrograph(tmp_path / "given.mrc", pixel_size=2.0).image
    np.testing.assert_array_equal(read_by_relion(tmp_path, "given.mrc"), ours)


def read_by_relion(folder, name):
    relion("relion_image_handler", "--i", name, "--o", "read.mrc", "--multiply_constant", "1", cwd=folder)
    return mrcfile.read(folder / "read.mrc")


def groups_of_two_microscopes():
    groups = {"rlnOpticsGroupName": ["monday", "tuesday"], "rlnOpticsGroup": [1, 2], "rlnVoltage": [300.0, 200.0]}
    return pd.DataFrame(groups).assign(rlnSphericalAberration=2.7, rlnAmplitudeContrast=0.1)


def test_relion_gives_particles_our_ctf_and_optics_groups(folder, monkeypatch):
    """From the micrographs_ctf.star that we write, as the CTF file of a user was matched with the micrographs."""
    monkeypatch.chdir(folder)
    groups, picks = groups_of_two_microscopes(), pd.read_pickle("picks.pickle")
    ctf = pd.DataFrame([(name, *values) for name, values in DEFOCUS.items()], columns=["micrograph", *CTF_LABELS])
    ctf = ctf.rename(columns=CTF_LABELS).assign(optics_group=[1, 2, 2])
    write_micrographs_ctf("ctf.star", MicrographsCtf(ctf, groups), PATHS, pixel_size=PIXEL_SIZE)
    write_autopick("with_ctf.star", "with_ctf", picks, PATHS)
    options = "--i ctf.star --coord_dir with_ctf/ --coord_suffix _autopick.star --part_dir with_ctf/"
    more = f"--part_star with_ctf.star --extract --extract_size {BOX} --norm --bg_radius {BG_RADIUS} --invert_contrast"
    relion("relion_preprocess", *options.split(), *more.split(), cwd=folder)
    theirs = read_blocks("with_ctf.star")
    ours = particles_table(picks, stack="particles.mrcs", micrograph_paths=PATHS, ctf=ctf)
    for label in (*CTF_LABELS, "rlnOpticsGroup", "rlnCoordinateX"):
        np.testing.assert_allclose(theirs["particles"][label], ours[label], atol=1e-5, err_msg=label)
    sizes = {"micrograph_pixel_size": PIXEL_SIZE, "pixel_size": PIXEL_SIZE, "box_px": BOX}
    expected = optics_table(**OPTICS, **sizes, groups=groups)
    pd.testing.assert_frame_equal(theirs["optics"][list(expected)], expected, check_dtype=False, atol=1e-5)


@pytest.mark.slow
def test_relion_reconstructs_with_the_voltage_of_each_optics_group(folder):
    """Two groups of one microscope change nothing; another voltage in one of them does."""
    blocks, groups = read_blocks(folder / "particles.star"), groups_of_two_microscopes()
    given = blocks["particles"].assign(rlnOpticsGroup=1 + (blocks["particles"].index >= 196))
    sizes = {"micrograph_pixel_size": PIXEL_SIZE, "pixel_size": PIXEL_SIZE, "box_px": BOX}
    maps = {}
    for name, second_kv in (("one", None), ("equal", 300.0), ("other", 100.0)):
        two = optics_table(**OPTICS, **sizes, groups=groups.assign(rlnVoltage=[300.0, second_kv]))
        optics, particles = (blocks["optics"], blocks["particles"]) if second_kv is None else (two, given)
        write_particles_star(folder / f"{name}.star", optics, particles)
        relion("relion_reconstruct", "--i", f"{name}.star", "--o", f"{name}.mrc", "--ctf", cwd=folder)
        maps[name] = mrcfile.read(folder / f"{name}.mrc").ravel()
    assert np.corrcoef(maps["one"], maps["equal"])[0, 1] > 0.9999
    assert np.corrcoef(maps["one"], maps["other"])[0, 1] < 0.99


def test_relion_31_reads_no_half_precision(tmp_path):
    """What the setting float16 warns of; if this fails, RELION is newer and the warning can go."""
    need("relion_image_handler")
    write_stack(tmp_path / "p.mrcs", [np.eye(16)[None]], size_px=16, pixel_size=2.0, dtype=np.float16)
    done = subprocess.run(["relion_image_handler", "--i", "p.mrcs", "--stats"], cwd=tmp_path, capture_output=True)
    assert done.returncode == 1 and b"does not support half-precision" in done.stderr


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.parametrize("case", extraction.CASES)
def test_real_micrographs_give_relions_pixels(shared_data, tmp_path, case):
    """629 published coordinates and 60 on and over the border; as they are, reduced and enlarged."""
    need("relion_preprocess")
    data, sizes = shared_data / "empiar-10017", dict(zip(SIZES, extraction.CASES[case], strict=True))
    picture = data / "micrographs/Falcon_2012_06_12-14_33_35_0.jpg"
    coordinates = extraction.prepare(tmp_path, [picture], data / "coordinates", box_px=sizes["box_px"])
    extraction.relions(tmp_path, **sizes)
    extraction.ours(tmp_path, coordinates, **sizes)
    found = extraction.differences(tmp_path)
    assert (found["particles"], found["star_cells"]) == (689, 0)
    assert found["rms"] < found["worst_rms"] < 1e-3
