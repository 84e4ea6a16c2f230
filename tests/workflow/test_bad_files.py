"""A hundred micrographs, some of them bad in every way that is known; and disks that cannot be written."""

import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from PIL import Image

from crisp_core.formats.arrays import array_names
from crisp_core.formats.mrc import mrc_header, write_mrc
from crisp_core.formats.relion_coordinates import read_coordinates_star
from crisp_core.formats.star import write_blocks
from crisp_core.preparation.settings import PreparationSettings
from crisp_core.segmentation.checkpoints import NetworkFacts, network_input, read_facts, write_facts
from crisp_core.segmentation.settings import NetworkSettings
from crisp_core.segmentation.shipped import sha256

from .conftest import copy_workflow, run_snakemake, write_config

pytestmark = pytest.mark.slow

N_FILES, N_WITH_COORDINATES = 100, 12
PIXEL_SIZE, DIAMETER = 7.08, 180
RESULTS = Path("results/bad")
# root reads everything, unless it lays these rights down
AS_USER = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--"] if os.geteuid() == 0 else []
BAD_MICROGRAPHS = {
    "truncated.mrc": "truncated, its header states",
    "empty.mrc": "is empty (0 bytes)",
    "picture.mrc": "is a JPEG file and not MRC",
    "huge.mrc": "truncated, its header states 4000057540 bytes",
    "nans.mrc": "holds NaN or infinite values",
    "infs.mrc": "holds NaN or infinite values",
    "constant.mrc": "every pixel is 7",
    "largest.mrc": "holds a value of 3e+38, beyond 1e+12",
    "more.mrc": "so it holds more than one image or its header is wrong",
    "thin.mrc": "a micrograph is one 2-D image, this is 160 × 1",
    "small.mrc": "24 × 160 pixels have no room for a particle of 25 pixels",
    "movie.mrc": "holds 3 images, so it is a movie",
    "folder.mrc": "is a directory",
    "dangling.mrc": "no such file",
    "missing.mrc": "no such file",
    "locked.mrc": "permission denied",
    "two words.mrc": "cannot hold the name 'two words'",
    "NA.mrc": "the name 'NA' is read as a missing value in a table",
}
BAD_COORDINATES = {
    "good_001.csv": "line 14: y is 'many', which is not a number",
    "good_003.csv": "the coordinates of good_003 fit it upside down; correct their y",
    "good_004.csv": "the coordinates of good_004 fit when multiplied by 2 ",
    "good_005.csv": "lie outside the micrograph, for instance",
    "good_006_DW.csv": "no micrograph is called good_006_DW, the nearest name is good_006; rename the file",
    "good_007.box": "its fifth column is −1 and −2, the two ends of a helix",
    "joined.star": "holds 2 blocks named data_, of which a reader sees one",
}
# a slip that costs one coordinate
OUTSIDE = {"good_002.csv": "1 of 14 coordinates lie outside the micrograph, for instance (163, 3)"}


def places(rng):
    """Twelve places of particles in the upper half of 160 × 160 pixels, as (x, y)."""
    grid = np.stack(np.meshgrid(np.arange(15, 150, 26), np.arange(15, 80, 26)), axis=-1).reshape(-1, 2)
    return rng.permutation(grid)[:12] + rng.uniform(-2, 2, (12, 2))


def micrograph(rng, xy, shape):
    y, x = np.mgrid[: shape[0], : shape[1]]
    image = rng.normal(size=shape)
    for cx, cy in xy:
        image -= 4 * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * 6**2))
    return image.astype(np.float32)


def write_image(path, image):
    write_mrc(path, image, pixel_size=PIXEL_SIZE, dtype="float32")


def write_bad(raw, image):
    """The bad micrographs; `image` is a good one."""
    write_image(raw / "whole.mrc", image)
    content = (raw / "whole.mrc").read_bytes()
    (raw / "whole.mrc").unlink()
    for name in ("locked.mrc", "two words.mrc", "NA.mrc"):
        (raw / name).write_bytes(content)
    (raw / "locked.mrc").chmod(0)
    (raw / "truncated.mrc").write_bytes(content[:5000])
    (raw / "empty.mrc").write_bytes(b"")
    Image.fromarray(np.arange(400, dtype=np.uint8).reshape(20, 20)).save(raw / "picture.jpg")
    (raw / "picture.jpg").rename(raw / "picture.mrc")
    (raw / "huge.mrc").write_bytes(mrc_header((31623, 31623), dtype="float32", pixel_size=PIXEL_SIZE) + content[1024:])
    (raw / "more.mrc").write_bytes(content + content[1024:])
    for name, value in (("nans.mrc", np.nan), ("infs.mrc", np.inf), ("largest.mrc", 3e38)):
        changed = image.copy()
        changed[70, 60] = value
        header = content[:1024]
        (raw / name).write_bytes(header + changed.tobytes())
    write_image(raw / "constant.mrc", np.full((160, 160), 7.0))
    write_image(raw / "thin.mrc", image[:, :1])
    write_image(raw / "small.mrc", image[:, :24])
    write_image(raw / "movie.mrc", np.stack([image] * 3))
    (raw / "folder.mrc").mkdir()
    (raw / "dangling.mrc").symlink_to("nowhere.mrc")


def write_list(folder, names):
    """Put a list of coordinate files in the place of the files of some micrographs."""
    (folder / "listed").mkdir()
    rows = []
    for i, name in enumerate(names):
        # the list says which micrograph it is
        (folder / f"coordinates/{name}.csv").rename(folder / f"listed/picks{i}.csv")
        rows.append((f"MotionCorr/{name}.mrc", f"listed/picks{i}.csv"))
    table = pd.DataFrame(rows, columns=["rlnMicrographName", "rlnMicrographCoordinates"])
    write_blocks(folder / "coordinates/autopick.star", {"coordinate_files": table})


def write_data(folder):
    """Micrographs and the coordinates of some; returns the names of the good micrographs."""
    raw, coordinates, rng = folder / "raw", folder / "coordinates", np.random.default_rng(0)
    raw.mkdir()
    coordinates.mkdir()
    names = [f"good_{i:03d}" for i in range(N_FILES - len(BAD_MICROGRAPHS))]
    for i, name in enumerate(names):
        # another size is no mistake
        shape, xy = ((160, 192) if i % 10 == 9 else (160, 160)), places(rng)
        image = micrograph(rng, xy, shape)
        write_image(raw / f"{name}.mrc", image)
        if i < N_WITH_COORDINATES:
            xy = np.column_stack([xy[:, 0], 159 - xy[:, 1]]) if name == "good_003" else xy
            xy = xy * {"good_004": 0.5, "good_005": 2}.get(name, 1)
            name += "_DW" if name == "good_006" else ""
            pd.DataFrame(xy, columns=["x", "y"]).to_csv(coordinates / f"{name}.csv", index=False)
    write_bad(raw, image)
    (coordinates / "good_007.csv").unlink()
    (coordinates / "good_007.box").write_text("10 20 16 16 -1\n90 80 16 16 -2\n")
    write_list(folder, ["good_008", "good_009"])
    block = "data_\n\nloop_\n_rlnCoordinateX\n_rlnCoordinateY\n10 20\n\n"
    (coordinates / "joined.star").write_text(block * 2)
    for name, line in (("good_001", "12,many\n"), ("good_002", "100,120\n163,3\n")):
        with open(coordinates / f"{name}.csv", "a") as file:
            file.write(line)
    return names


def settings(trained):
    return {
        "micrographs_per_job": 50,
        "strict": True,
        "run": ["bad/picked"],
        "datasets": {
            "bad": {
                "micrographs": ["raw/*.mrc", "raw/missing.mrc"],
                "coordinates": {"files": "coordinates/*", "origin": "top-left"},
                "pixel_size": PIXEL_SIZE,
                "particle_diameter_angstrom": DIAMETER,
                "preparation": {"normalization": "robust"},
                "split": {"train": 2, "validation": 1, "test": 2},
            }
        },
        "experiments": {
            "picked": {"trained": str(trained), "prediction": {"tile_px": 128, "overlap_px": 16}},
        },
    }


def trained_on_robust(source, folder):
    """A copy of a trained network that is taken for one of the normalization that needs no time."""
    folder.mkdir()
    facts = read_facts(source / "network.pt")
    torch.save(torch.load(source / "network.pt", weights_only=True), folder / "network.pt")
    write_facts(folder / "network.pt", facts._replace(input=facts.input._replace(normalization="robust")))
    centers = yaml.safe_load((source / "centers.yaml").read_text())
    centers["network_sha256"] = sha256(folder / "network.pt")
    write_config(folder / "centers.yaml", centers)
    return folder


def run_without_rights(*arguments, cwd):
    """Run the workflow as somebody from whom a file can be locked away."""
    return run_snakemake(*arguments, cwd=cwd, check=False, runner=AS_USER)


def error_lines(output):
    return {line.partition("error: ")[2] for line in output.splitlines() if "error: " in line}


def state(folder):
    """Size and time of every file, links not followed."""
    return {path.name: (path.lstat().st_size, path.lstat().st_mtime_ns) for path in folder.iterdir()}


@pytest.fixture(scope="module")
def bad_run(tiny_run, tmp_path_factory):
    """Folder, names of the good micrographs and output of a strict run to its end."""
    if AS_USER and shutil.which(AS_USER[0]) is None:
        pytest.skip("root reads locked files; install util-linux, whose setpriv lays that right down")
    folder = copy_workflow(tmp_path_factory.mktemp("bad") / "crisp")
    names = write_data(folder)
    trained = trained_on_robust(tiny_run / "results/tiny/small", folder / "trained")
    write_config(folder / "bad.yaml", settings(trained))
    before = state(folder / "raw")
    done = run_without_rights("--cores", "2", "--configfile", "bad.yaml", cwd=folder)
    assert state(folder / "raw") == before
    return folder, names, done


def test_the_others_finish_and_the_run_says_so_when_it_is_strict(bad_run):
    folder, names, done = bad_run
    assert done.returncode == 1, done.stdout[-3000:]
    # nothing else failed
    (line,) = error_lines(done.stdout)
    n_bad = len(BAD_MICROGRAPHS) + len(BAD_COORDINATES) + len(OUTSIDE)
    assert line.startswith(
        f"strict: the run is finished, but {n_bad} files were quarantined, see {RESULTS}/quarantine.tsv"
    )
    assert "Traceback" not in done.stdout
    for name in ("report.html", "metrics/picks.tsv", "plots/overlays"):
        assert (folder / RESULTS / "picked" / name).exists()
    assert (folder / "results/report.html").is_file()
    assert not (folder / RESULTS / "picked/strict.txt").exists()
    listed = pd.read_csv(folder / RESULTS / "micrographs.tsv", sep="\t")["micrograph"]
    assert sorted(listed) == names
    assert (folder / RESULTS / "picked/particles.star").is_file()
    assert len(list((folder / RESULTS / "picked/autopick").glob("*.star"))) == len(names)


def test_the_quarantine_names_each_file_with_its_reason(bad_run):
    folder, _, _ = bad_run
    table = pd.read_csv(folder / RESULTS / "quarantine.tsv", sep="\t")
    assert list(table) == ["path", "stage", "reason"]
    reasons = {(row.stage, Path(row.path).name): row.reason for row in table.itertuples()}
    expected = {("prepare", name): reason for name, reason in BAD_MICROGRAPHS.items()}
    expected |= {("coordinates", name): reason for name, reason in (BAD_COORDINATES | OUTSIDE).items()}
    assert set(reasons) == set(expected) and len(table) == len(expected)
    for key, reason in expected.items():
        assert reason in reasons[key]


def test_refused_coordinates_label_nothing(bad_run):
    folder, _, _ = bad_run
    coordinates = read_coordinates_star(folder / RESULTS / "coordinates.star")
    refused = {Path(name).stem.removesuffix("_DW") for name in BAD_COORDINATES}
    labelled = {f"good_{i:03d}" for i in range(N_WITH_COORDINATES)} - refused
    assert set(coordinates["micrograph"]) == labelled and len(coordinates) == 12 * len(labelled) + 1
    assert set(pd.read_csv(folder / RESULTS / "split.tsv", sep="\t")["micrograph"]) <= labelled


def test_the_counts_add_up(bad_run):
    folder, names, _ = bad_run
    run = folder / RESULTS / "picked"
    picks = pd.concat([read_coordinates_star(path) for path in sorted((run / "picks").glob("*.star"))])
    particles = read_coordinates_star(run / "particles.star")
    dropped = pd.read_csv(run / "dropped.tsv", sep="\t").query("stage == 'extraction'")["n_picks"].sum()
    assert len(picks) == len(particles) + dropped and len(particles) > len(names)
    quarantined = pd.read_csv(folder / RESULTS / "quarantine.tsv", sep="\t")["stage"].eq("prepare").sum()
    assert len(names) + quarantined == N_FILES


def test_a_lost_particle_ends_the_run_with_one_line(bad_run):
    folder, _, _ = bad_run
    star = folder / RESULTS / "picked/particles/0000.star"
    whole = star.read_text()
    star.write_text("\n".join(whole.rstrip("\n").split("\n")[:-1]) + "\n\n")
    target = f"{RESULTS}/picked/dropped.tsv"
    arguments = (target, "-f", "--allowed-rules", "count_dropped", "--cores", "1", "--configfile", "bad.yaml")
    done = run_snakemake(*arguments, cwd=folder, check=False)
    star.write_text(whole)
    assert done.returncode == 1
    (line,) = error_lines(done.stdout)
    assert line.startswith(f"{RESULTS}/picked: ") and "picks are not" in line and "see good_" in line


def test_a_micrograph_without_a_finite_map_is_in_quarantine_and_the_others_are_picked(bad_run, tmp_path):
    folder = Path(shutil.copytree(bad_run[0], tmp_path / "crisp", symlinks=True))
    results = folder / RESULTS
    before = read_coordinates_star(results / "picked/picks/0000.star")
    with h5py.File(results / "images/0000.h5", "r+") as file:
        file["image/good_010"][5, 5] = np.nan
    targets = [f"{RESULTS}/picked/quarantine.tsv", f"{RESULTS}/picked/picks/0000.star"]
    arguments = ("--forcerun", "predict", "--allowed-rules", "predict", "pick", "quarantine_run", "--cores", "1")
    run_snakemake(*targets, *arguments, "--configfile", "bad.yaml", cwd=folder)
    refused = pd.read_csv(results / "picked/quarantine.tsv", sep="\t")
    assert refused["path"].tolist() == ["raw/good_010.mrc"]
    assert "gives it no finite probability, so it has no picks" in refused["reason"].item()
    others = before[before["micrograph"] != "good_010"].reset_index(drop=True)
    assert len(others) < len(before)
    pd.testing.assert_frame_equal(read_coordinates_star(results / "picked/picks/0000.star"), others)


@contextmanager
def small_disk(folder, options):
    """A disk of its own at a folder."""
    folder.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)]
    if os.geteuid() or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("needs root, and the right to mount a disk in memory")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_one_line_and_the_next_call_goes_on(tmp_path):
    folder = copy_workflow(tmp_path / "full")
    raw, trained, rng = folder / "raw", folder / "trained", np.random.default_rng(0)
    raw.mkdir()
    trained.mkdir()
    # of what is not asked for the facts alone are read
    torch.save({}, trained / "network.pt")
    preparation = PreparationSettings(working_pixel_size=DIAMETER / 25, normalization="robust")
    facts = NetworkFacts(["background", "particle"], network_input(preparation, DIAMETER), NetworkSettings())
    write_facts(trained / "network.pt", facts)
    (trained / "centers.yaml").touch()
    for i in range(3):
        write_image(raw / f"m{i}.mrc", rng.normal(size=(700, 700)))
    config = settings(trained)
    del config["datasets"]["bad"]["coordinates"]
    write_config(folder / "full.yaml", config | {"micrographs_per_job": 2})
    arguments = (f"{RESULTS}/images/0000.h5", f"{RESULTS}/images/0001.h5", "--cores", "1", "--configfile", "full.yaml")
    with small_disk(folder / "results", "size=3m"):
        # with Python itself, in which HDF5 cleans up at the end of the process
        done = run_snakemake(*arguments, "-k", cwd=folder, check=False, python=sys.executable)
        assert done.returncode == 1 and "Traceback" not in done.stdout
        (line,) = error_lines(done.stdout)
        cure = "no space left on the disk; free some, and run again, which goes on from here"
        assert line == f"{RESULTS}/images/0000.h5: {cure}"
        assert [path.name for path in (folder / RESULTS / "images").iterdir()] == ["0001.h5"]
        subprocess.run(["mount", "-o", "remount,size=20m", str(folder / "results")], check=True)
        done = run_snakemake(*arguments, cwd=folder)
        assert done.stdout.count("rule prepare:") == 1
        assert array_names(folder / RESULTS / "images/0000.h5", "valid") == ["m0", "m1"]


@pytest.mark.parametrize(
    ("options", "message"), [("ro", "cannot be written; make it writable"), ("size=64k", "no space left on the disk")]
)
def test_a_disk_that_cannot_be_written_is_refused_before_any_job(tmp_path, options, message):
    folder = copy_workflow(tmp_path / "disk")
    with small_disk(folder / "results", options):
        done = run_snakemake("--cores", "1", cwd=folder, check=False)
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1].startswith(f"error: {folder / 'results'}: {message}")


@pytest.mark.parametrize("name", ["m{1}.mrc", "a\tb.mrc", os.fsdecode(b"caf\xe9.mrc")])
def test_a_path_that_no_table_can_hold_ends_the_run_before_any_job(tmp_path, name):
    folder = copy_workflow(tmp_path / "crisp")
    (folder / name).write_bytes(b"")
    (folder / "good.mrc").write_bytes(b"")
    dataset = {"micrographs": "*.mrc", "pixel_size": PIXEL_SIZE, "particle_diameter_angstrom": DIAMETER}
    dataset["coordinates"] = {"files": "config.yaml", "origin": "top-left"}
    config = {"run": ["named/unet"], "datasets": {"named": dataset}, "experiments": {"unet": {}}}
    write_config(folder / "named.yaml", config)
    done = run_snakemake("-n", "--configfile", "named.yaml", cwd=folder, check=False)
    assert done.returncode and "Traceback" not in done.stdout
    assert "error: config, datasets/named/micrographs: " in done.stdout and "in its path; rename it" in done.stdout
