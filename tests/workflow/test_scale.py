"""Thousands of micrographs, and micrographs that are added to a finished run."""

import copy
import hashlib
import re
import shutil
import subprocess
import sys

import mrcfile
import numpy as np
import pandas as pd
import pytest
import starfile

from crisp_core.formats.mrc import write_mrc

from .conftest import ROOT, TINY, copy_workflow, run_snakemake, write_config

pytestmark = pytest.mark.slow

BATCH_RULES = {"prepare", "label_disc", "predict", "pick", "extract", "measure_micrographs"}


def counted(output):
    """Jobs of a plan by rule."""
    return {rule: int(n) for rule, n in re.findall(r"^(\w+) +(\d+)$", output, re.M) if rule != "total"}


def of_files(**more):
    """The tiny configuration with micrographs and coordinates from files."""
    entry = {key: value for key, value in TINY["datasets"]["tiny"].items() if key != "simulation"}
    entry |= {
        "micrographs": "micrographs/*.mrc",
        "coordinates": {"files": "coordinates/*.csv", "origin": "top-left"},
        "split": {"train": 2, "validation": 1, "test": "rest"},
    }
    return copy.deepcopy(TINY) | {"datasets": {"tiny": entry}} | more


MEASURED = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
print("usage", usage.ru_utime + usage.ru_stime, usage.ru_maxrss)
"""


def test_three_thousand_micrographs_are_planned_in_seconds(tmp_path):
    image = tmp_path / "image.mrc"
    write_mrc(image, np.eye(64, dtype=np.float32), pixel_size=7.08, dtype="float32")
    for kind in ("micrographs", "coordinates"):
        (tmp_path / kind).mkdir()
    for i in range(3000):
        shutil.copy(image, tmp_path / f"micrographs/m{i:04d}.mrc")
        (tmp_path / f"coordinates/m{i:04d}.csv").write_text("x,y\n20,20\n")
    write_config(tmp_path / "tiny.yaml", of_files(micrographs_per_job=32))
    command = [sys.executable, "-m", "snakemake", "-n", "--quiet", "rules", "-s", str(ROOT / "Snakefile")]
    # in a process of its own: Linux counts the memory of the process that starts another as the other's
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *command, "--configfile", "tiny.yaml"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    output, _, usage = done.stdout.rpartition("usage ")
    seconds, kilobytes = map(float, usage.split())
    # processor time, which other programs on the machine do not change much
    assert seconds < 30
    assert kilobytes * (1 if sys.platform == "darwin" else 1024) < 500 * 2**20
    jobs = counted(output)
    # 3000 / 32 = 93.75
    assert {rule for rule, n in jobs.items() if n > 1} == BATCH_RULES
    assert {jobs[rule] for rule in BATCH_RULES} == {94}


def test_a_longer_simulation_makes_the_new_micrographs_alone(tiny_run):
    longer = copy.deepcopy(TINY)
    longer["datasets"]["tiny"]["simulation"]["n_micrographs"] = 7
    write_config(tiny_run / "longer.yaml", longer)
    jobs = counted(run_snakemake("-n", "--quiet", "rules", "--configfile", "longer.yaml", cwd=tiny_run).stdout)
    for rule in ("simulate", "prepare", "label_simulated", "predict", "pick", "extract", "import_coordinates"):
        assert jobs[rule] == 1
    assert not jobs.keys() & {"density", "draw_split", "train", "search_centers"}


def add_files(tiny_run, folder, numbers, *, prefix="", with_coordinates):
    """Copy simulated micrographs of the tiny run, by number, and the coordinates of some of them."""
    truth = starfile.read(tiny_run / "results/tiny/coordinates.star", always_dict=True)["particles"]
    for i in numbers:
        name = f"simulated_{i:04d}"
        (folder / f"micrographs/{prefix}{name}.mrc").write_bytes(
            (tiny_run / f"results/tiny/micrographs/{name}.mrc").read_bytes()
        )
        if i in with_coordinates:
            rows = truth[truth["rlnMicrographName"] == name]
            table = pd.DataFrame({"x": rows["rlnCoordinateX"], "y": rows["rlnCoordinateY"]})
            table.to_csv(folder / f"coordinates/{prefix}{name}.csv", index=False)


def fingerprints(folder):
    """Time and content of every file of the results."""
    files = [path for path in sorted((folder / "results").rglob("*")) if path.is_file() and not path.is_symlink()]
    return {
        str(path.relative_to(folder / "results/tiny")): (
            path.stat().st_mtime_ns,
            hashlib.sha256(path.read_bytes()).hexdigest(),
        )
        for path in files
    }


TARGETS = [
    f"results/tiny/{name}"
    for name in (
        "split.tsv",
        "quarantine.tsv",
        "small/particles.star",
        "small/autopick.star",
        "small/metrics/picks.tsv",
    )
]


@pytest.fixture(scope="module")
def added_run(tiny_run, tmp_path_factory):
    """A finished run to which two micrographs were added; its folder, and its files before and after."""
    folder = copy_workflow(tmp_path_factory.mktemp("added") / "crisp")
    for kind in ("micrographs", "coordinates"):
        (folder / kind).mkdir()
    write_config(folder / "tiny.yaml", of_files(micrographs_per_job=2))
    add_files(tiny_run, folder, [1, 2, 3], with_coordinates=[1, 2, 3])
    arguments = ("--cores", "2", "--configfile", "tiny.yaml")
    run_snakemake(*TARGETS, *arguments, cwd=folder)
    before = fingerprints(folder)
    # they sort before all others, and one could train
    add_files(tiny_run, folder, [4, 5], prefix="a_", with_coordinates=[4])
    run_snakemake(*TARGETS, *arguments, cwd=folder)
    return folder, before, fingerprints(folder)


def test_added_micrographs_touch_no_old_result(added_run):
    _, before, after = added_run
    changed = {name for name in before if before[name] != after[name]}
    # what speaks of all micrographs is made anew
    whole = "batches.tsv coordinate_names.tsv coordinates.star left_out.tsv micrographs.tsv notices.tsv".split()
    whole += ["quarantine.tsv", "small/quarantine.tsv", "split.tsv"]
    expected = {*whole, "quarantine/coordinates.tsv", "small/autopick.star", "small/coordinates_only.star"}
    assert expected <= changed
    kept = [
        *("split/drawn.tsv", "coordinates/0.star", "small/network.pt", "small/history.tsv", "small/centers.yaml"),
        *(f"{kind}/000{i}.h5" for kind in ("images", "labels", "small/probability") for i in (0, 1)),
        *(f"small/{name}" for i in (0, 1) for name in (f"picks/000{i}.star", f"candidates/000{i}.star")),
        *(f"small/particles/000{i}.{suffix}" for i in (0, 1) for suffix in ("mrcs", "star")),
    ]
    assert set(kept) <= before.keys() and not set(kept) & changed
    # sums, scores and what a run costs follow from them
    follow = re.compile(r"small/(particles\.star|autopick/|cbox/|metrics/|performance/|cryosparc/)|performance/")
    assert [name for name in sorted(changed - expected) if not follow.match(name)] == []


def test_added_micrographs_are_picked_and_test(added_run):
    folder, *_ = added_run
    places = pd.read_csv(folder / "results/tiny/batches.tsv", sep="\t", dtype=str).set_index("micrograph")
    assert places.loc["simulated_0001", "batch"] == "0000"
    assert set(places.loc[["a_simulated_0004", "a_simulated_0005"], "batch"]) == {"0002"}
    split = pd.read_csv(folder / "results/tiny/split.tsv", sep="\t").set_index("micrograph")["part"].to_dict()
    assert split.pop("a_simulated_0004") == "test"
    assert sorted(split.values()) == ["train", "train", "validation"]
    index = starfile.read(folder / "results/tiny/small/autopick.star")
    assert len(index) == 5
    picks = pd.read_csv(folder / "results/tiny/small/metrics/picks.tsv", sep="\t")
    assert "a_simulated_0004" in set(picks.query("part == 'test'")["micrograph"])


def test_old_particles_are_as_many_as_before(added_run):
    folder, *_ = added_run
    particles = starfile.read(folder / "results/tiny/small/particles.star", always_dict=True)["particles"]
    stacks = particles["rlnImageName"].str.split("@").str[1]
    for stack, rows in particles.groupby(stacks):
        with mrcfile.open(folder / stack) as mrc:
            assert len(np.atleast_3d(mrc.data)) == len(rows)


def test_nothing_is_left_to_do_after_an_addition(added_run):
    folder, *_ = added_run
    output = run_snakemake(*TARGETS, "-n", "--configfile", "tiny.yaml", cwd=folder).stdout
    assert "Nothing to be done" in output


def test_edited_coordinates_of_an_old_micrograph_train_again(added_run):
    folder, *_ = added_run
    path = folder / "coordinates/simulated_0002.csv"
    text = path.read_text()
    try:
        path.write_text(text + "30,30\n")
        arguments = ("-n", "--quiet", "rules", "--configfile", "tiny.yaml")
        jobs = counted(run_snakemake(*TARGETS, *arguments, cwd=folder).stdout)
    finally:
        path.write_text(text)
    assert jobs["import_coordinates"] == 1 and jobs["label_disc"] == 2 and jobs["train"] == 1
