"""Micrographs of several formats, their CTF and headers: what RELION gets of them, and what is refused or noticed.

The picks come from files, so that the run trains nothing.
"""

import os
import re

import mrcfile
import numpy as np
import pandas as pd
import pytest
import starfile
import tifffile
import yaml
from PIL import Image

from crisp_core.formats.mrc import write_mrc
from crisp_core.formats.star import write_blocks
from tests.reconstruction.test_relion import relion

from .conftest import copy_workflow, run_snakemake, write_config

pytestmark = pytest.mark.slow

PIXEL_SIZE, SHAPE, BOX = 7.08, (160, 200), 40
RESULTS = "results/mixed"
LENS = {"rlnDefocusU": 12000.0, "rlnDefocusV": 9000.0, "rlnDefocusAngle": 35.0}
# The picture has no line in the CTF file.
CTF = {"tiff.tif": {}, "plain.mrc": {}, "signed.mrc": {}, "failed.mrc": {"rlnDefocusU": np.nan}}
CTF |= {"micrometres.mrc": {"rlnDefocusU": 1.2}, "replaced.mrc": {}, "coarse.mrc": {}}
KEPT = ["picture", "plain", "replaced", "signed", "tiff"]


def noise(name):
    return np.random.default_rng(sum(map(ord, name))).integers(20, 120, SHAPE)


def write_image(path, image):
    if path.suffix == ".tif":
        tifffile.imwrite(path, image.astype(np.uint16))
    elif path.suffix == ".png":
        Image.fromarray(image.astype(np.uint8)).save(path)
    else:
        scale = 2 if path.stem == "coarse" else 1
        kind = "int8" if path.stem == "signed" else "float32"
        write_mrc(path, image, pixel_size=scale * PIXEL_SIZE, dtype=kind)


def write_data(folder):
    """Micrographs, picks and the CTF of all but one, which is of 200 kV where the config says 300."""
    for sub in ("raw", "picks"):
        (folder / sub).mkdir()
    rng = np.random.default_rng(0)
    for file in [*CTF, "picture.png"]:
        path = folder / "raw" / file
        write_image(path, noise(path.stem))
        xy = rng.uniform((30, 30), (SHAPE[1] - 30, SHAPE[0] - 30), (12, 2))
        pd.DataFrame(xy, columns=["x", "y"]).to_csv(folder / f"picks/{path.stem}.csv", index=False)
    # picked at twice the pixel size, as its optics say
    (folder / "picks/plain.csv").unlink()
    optics = pd.DataFrame({"rlnOpticsGroup": [1], "rlnMicrographPixelSize": [2 * PIXEL_SIZE]})
    picks = pd.DataFrame({"rlnCoordinateX": xy[:, 0] / 2, "rlnCoordinateY": xy[:, 1] / 2, "rlnOpticsGroup": 1})
    write_blocks(folder / "picks/plain.star", {"optics": optics, "particles": picks})
    lines = pd.DataFrame([{"rlnMicrographName": f"job/{file}", "rlnOpticsGroup": 1} | LENS | CTF[file] for file in CTF])
    optics = {"rlnOpticsGroup": [1], "rlnOpticsGroupName": ["g"], "rlnVoltage": [200.0]}
    write_blocks(folder / "ctf.star", {"optics": pd.DataFrame(optics), "micrographs": lines})


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    folder = copy_workflow(tmp_path_factory.mktemp("mixed") / "crisp")
    write_data(folder)
    dataset = {
        "micrographs": ["raw/*.mrc", "raw/*.tif", "raw/*.png"],
        "pixel_size": PIXEL_SIZE,
        "particle_diameter_angstrom": 180,
        "ctf": "ctf.star",
        "preparation": {"normalization": "robust"},
    }
    particles = {"box_angstrom": BOX * PIXEL_SIZE}
    picker = {"files": "picks/*", "origin": "top-left"}
    config = {"run": ["mixed/given"], "datasets": {"mixed": dataset}}
    config["experiments"] = {"given": {"picker": picker, "particles": particles}}
    write_config(folder / "mixed.yaml", config)
    targets = [f"{RESULTS}/{name}.tsv" for name in ("quarantine", "notices", "given/dropped")]
    targets += [f"{RESULTS}/given/report.html"]
    run_snakemake("--cores", "2", "--configfile", "mixed.yaml", "--", "particles", *targets, cwd=folder)
    return folder


def table(folder, name):
    return pd.read_csv(folder / RESULTS / f"{name}.tsv", sep="\t")


def test_star_files_name_mrc_files_with_the_pixels_that_we_read(mixed):
    listed = table(mixed, "micrographs").set_index("micrograph")["star_path"]
    assert listed.to_dict() == {
        name: f"{RESULTS}/micrographs/{name}.mrc" for name in sorted([*KEPT, "failed", "micrometres"])
    }
    for name, path in listed.items():
        np.testing.assert_array_equal(mrcfile.read(mixed / path), noise(name))
    # links where RELION reads the file as we do, 16-bit integers where it does not
    assert (mixed / listed["plain"]).resolve() == mixed / "raw/plain.mrc"
    for name in ("tiff", "picture", "signed"):
        with mrcfile.open(mixed / listed[name], header_only=True) as mrc:
            assert int(mrc.header.mode) == 1 and float(mrc.voxel_size.x) == pytest.approx(PIXEL_SIZE, rel=1e-5)


def test_relion_extracts_the_particles_again_from_what_the_star_names(mixed):
    blocks = starfile.read(mixed / RESULTS / "given/particles.star")
    particles = blocks["particles"]
    names = particles["rlnMicrographName"].unique()
    assert sorted(os.path.basename(name) for name in names) == ["plain.mrc", "replaced.mrc", "signed.mrc", "tiff.mrc"]
    optics = blocks["optics"].drop(columns=["rlnImagePixelSize", "rlnImageSize", "rlnImageDimensionality"])
    lines = pd.DataFrame({"rlnMicrographName": names, "rlnOpticsGroup": 1})
    optics = optics.assign(rlnMicrographPixelSize=PIXEL_SIZE)
    write_blocks(mixed / "micrographs.star", {"optics": optics, "micrographs": lines})
    options = f"--i micrographs.star --reextract_data_star {RESULTS}/given/particles.star --part_dir again/"
    more = f"--part_star again.star --extract --extract_size {BOX} --norm --bg_radius {BOX * 0.375:g} --invert_contrast"
    relion("relion_preprocess", *options.split(), *more.split(), cwd=mixed)
    again, ours = (
        images(mixed, starfile.read(mixed / path)) for path in ("again.star", f"{RESULTS}/given/particles.star")
    )
    assert again.keys() == ours.keys() and len(ours) == 48
    for key, image in ours.items():
        np.testing.assert_allclose(again[key], image, atol=2e-4, err_msg=str(key))


def images(folder, blocks):
    """Particle images by micrograph and coordinate."""
    found = {}
    for row in blocks["particles"].itertuples():
        number, stack = row.rlnImageName.split("@")
        key = (os.path.basename(row.rlnMicrographName), round(row.rlnCoordinateX, 3), round(row.rlnCoordinateY, 3))
        found[key] = mrcfile.read(folder / stack)[int(number) - 1]
    return found


def test_the_astigmatism_of_the_tiff_is_turned_and_of_the_mrc_is_not(mixed):
    particles = starfile.read(mixed / RESULTS / "given/particles.star")["particles"]
    angles = particles.groupby(particles["rlnMicrographName"].map(os.path.basename))["rlnDefocusAngle"].unique()
    assert {name: list(values) for name, values in angles.items()} == {
        "plain.mrc": [35],
        "replaced.mrc": [35],
        "signed.mrc": [35],
        "tiff.mrc": [-35],
    }


def test_bad_lines_and_another_pixel_size_cost_their_micrographs_alone(mixed):
    refused = table(mixed, "quarantine").set_index("path")
    reasons = {
        "raw/coarse.mrc": ("prepare", "its header says pixels of 14.16 Å, those of other micrographs 7.08 Å; put"),
        "raw/failed.mrc": ("ctf", "ctf.star: rlnDefocusU of failed is not a number; estimate the CTF again"),
        "raw/micrometres.mrc": ("ctf", "ctf.star: rlnDefocusU of micrometres is 1.2 Å; if these are micrometres"),
        "raw/picture.png": ("ctf", "ctf.star: has no line for it"),
    }
    assert refused["stage"].to_dict() == {path: stage for path, (stage, _) in reasons.items()}
    for path, (_, reason) in reasons.items():
        assert reason in refused.loc[path, "reason"]
    (of_ctf,) = table(mixed, "notices")["notice"]
    (of_picks,) = table(mixed, "given/notices")["notice"]
    assert of_ctf.startswith(
        "ctf.star: rlnVoltage is 200, the config's voltage_kv is 300; the particles carry the file"
    )
    assert of_picks.startswith(
        "picks/plain.star: its rlnMicrographPixelSize states pixels of 14.16 Å (1 files in all), "
    )
    assert of_picks.endswith(
        "pixels of 7.08 Å; if they were picked on micrographs of 14.16 Å, set scale to 2, or correct pixel_size"
    )
    page = (mixed / RESULTS / "given/report.html").read_text()
    assert "Files that contradict the config" in page and "rlnVoltage is 200" in page and "set scale to 2" in page


def test_excluded_micrographs_leave_what_is_extracted_and_come_back(mixed):
    names = ("given/particles.star", "given/autopick.star", "given/coordinates_only.star", "given/dropped.tsv")
    names += ("given/micrographs_selected.star", "given/particles/0000.mrcs")
    before = {name: (mixed / RESULTS / name).read_bytes() for name in names}
    everything = (mixed / "ctf.star").read_text()
    rows = [line for line in everything.splitlines(keepends=True) if line.startswith("job/")]
    config = yaml.safe_load((mixed / "mixed.yaml").read_text())
    config["experiments"]["given"]["curation"] = {"exclude_micrographs": ["plain"]}
    write_config(mixed / "excluding.yaml", config)
    targets = ["particles", f"{RESULTS}/given/dropped.tsv"]
    run_snakemake("--cores", "2", "--configfile", "excluding.yaml", "--", *targets, cwd=mixed)
    for name in names[:3]:
        kept = (mixed / RESULTS / name).read_text()
        assert "tiff" in kept and "plain" not in kept
    dropped = table(mixed, "given/dropped").set_index("micrograph").loc["plain"]
    assert (dropped["reason"], dropped["n_picks"]) == ("micrograph excluded: listed in exclude_micrographs", 12)
    # coarse is quarantined, and the picture has no line
    gone = [row for row in rows if "plain" in row or "coarse" in row]
    selected = (mixed / RESULTS / "given/micrographs_selected.star").read_text()
    assert selected == "".join(line for line in everything.splitlines(keepends=True) if line not in gone)
    output = run_snakemake("--cores", "2", "--configfile", "mixed.yaml", "--", *targets, cwd=mixed)
    assert {name: (mixed / RESULTS / name).read_bytes() for name in names} == before
    rules = set(re.findall(r"^(?:local)?rule (\w+):", output.stdout, re.M))
    assert "extract" in rules and not rules & {"prepare", "import_picks", "import_ctf", "pick_with_program"}


def test_a_replaced_micrograph_is_not_cut_at_its_old_picks(mixed):
    """With the same time stamp: of another size in bytes it is prepared again, of the same size its shape tells."""
    path = mixed / "raw/replaced.mrc"
    before, state = path.read_bytes(), path.stat()

    def replace(image):
        write_image(path, image)
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))

    target = f"{RESULTS}/given/dropped.tsv"
    replace(noise("replaced")[:150])
    planned = run_snakemake("-n", "--configfile", "mixed.yaml", "--", target, cwd=mixed).stdout
    assert "rule prepare:" in planned and "rule extract:" in planned
    replace(noise("replaced").T)
    run_snakemake("--cores", "1", "--configfile", "mixed.yaml", "-R", "extract", "--", target, cwd=mixed)
    dropped = table(mixed, "given/dropped").query("micrograph == 'replaced'")
    assert dropped[["stage", "reason", "n_picks"]].to_numpy().tolist() == [
        ["extraction", "micrograph replaced or damaged since it was picked", 12]
    ]
    names = starfile.read(mixed / RESULTS / "given/particles/0000.star")["particles"]["rlnMicrographName"]
    assert len(names) == 36 and not names.str.contains("replaced").any()
    path.write_bytes(before)
