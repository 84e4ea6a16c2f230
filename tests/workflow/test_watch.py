"""Micrographs that are written while the workflow runs."""

import threading
import time

import pandas as pd
import pytest

from crisp_core.formats.arrays import array_names

from .conftest import TINY, copy_workflow, run_snakemake, write_config

pytestmark = pytest.mark.slow

# seconds without change; ten times as long, a file that stays short is taken for broken
QUIET = 6
TARGET = "results/arriving/reuse/autopick.star"


def write_slowly(source, target, stop):
    """Write a file in small pieces until told to hurry."""
    data = source.read_bytes()
    step = len(data) // 100 + 1
    with open(target, "wb", buffering=0) as file:
        for start in range(0, len(data), step):
            file.write(data[start : start + step])
            stop.wait(0.5)


def pick(folder):
    """One round of the loop of docs/additions.md."""
    watch = ("--config", f"watch={QUIET}", "--")
    run_snakemake("--cores", "2", "--configfile", "arriving.yaml", *watch, TARGET, cwd=folder)
    return set(pd.read_csv(folder / "results/arriving/micrographs.tsv", sep="\t")["micrograph"])


def refused(folder):
    return pd.concat(pd.read_csv(path, sep="\t") for path in (folder / "results/arriving/quarantine").glob("prepare-*"))


def test_only_whole_micrographs_are_picked_and_in_the_end_all_are(tiny_run, tmp_path):
    folder = copy_workflow(tmp_path / "crisp")
    arriving = folder / "arriving"
    arriving.mkdir()
    prediction = TINY["experiments"]["small"]["prediction"]
    config = {
        "run": ["arriving/reuse"],
        "datasets": {
            "arriving": {"micrographs": "arriving/*.mrc", "pixel_size": 7.08, "particle_diameter_angstrom": 180}
        },
        "experiments": {"reuse": {"trained": str(tiny_run / "results/tiny/small"), "prediction": prediction}},
    }
    write_config(folder / "arriving.yaml", config)
    first, second, halved, slow = sorted((tiny_run / "results/tiny/micrographs").glob("*.mrc"))[:4]
    for source in (first, second):
        (arriving / source.name).write_bytes(source.read_bytes())
    data = halved.read_bytes()
    (arriving / halved.name).write_bytes(data[: len(data) // 2])
    hurry = threading.Event()
    writer = threading.Thread(target=write_slowly, args=(slow, arriving / slow.name, hurry))
    time.sleep(QUIET)
    writer.start()
    assert pick(folder) == {first.stem, second.stem}
    with open(arriving / halved.name, "ab") as file:
        file.write(data[len(data) // 2 :])
    hurry.set()
    writer.join()
    time.sleep(QUIET)
    assert pick(folder) == {path.stem for path in (first, second, halved, slow)}
    assert refused(folder).empty
    batches = sorted((folder / "results/arriving/images").glob("*.h5"))
    assert [array_names(path, "image") for path in batches] == [[first.stem, second.stem], [halved.stem, slow.stem]]
    # picked as they are where all are there from the start
    for path in (first, second, halved, slow):
        name = f"{path.stem}_autopick.star"
        expected = (tiny_run / "results/tiny/small/autopick" / name).read_bytes()
        assert (folder / "results/arriving/reuse/autopick" / name).read_bytes() == expected


def test_without_a_finished_micrograph_a_round_ends_in_one_line(tmp_path):
    (tmp_path / "new.mrc").write_bytes(b"begun")
    config = {
        "run": ["arriving/reuse"],
        "datasets": {"arriving": {"micrographs": "*.mrc", "pixel_size": 7.08, "particle_diameter_angstrom": 180}},
        "experiments": {"reuse": {"trained": "elsewhere"}},
    }
    (tmp_path / "elsewhere").mkdir()
    for name in ("network.pt", "centers.yaml"):
        (tmp_path / "elsewhere" / name).touch()
    folder = copy_workflow(tmp_path / "crisp")
    write_config(tmp_path / "arriving.yaml", config)
    arguments = ("-n", "-s", str(folder / "Snakefile"), "--configfile", "arriving.yaml", "--config", "watch=60")
    done = run_snakemake(*arguments, cwd=tmp_path, check=False)
    assert done.returncode == 1
    message = (
        "error: config, datasets/arriving/micrographs: none of 1 files has been unchanged for 60 s; call again later"
    )
    assert done.stdout.splitlines()[-1] == message
    # a pattern may match nothing yet where others do, and so may all
    for patterns, expected in (
        (["tomorrow/*.mrc", "*.mrc"], "unchanged for 60 s"),
        (["tomorrow/*.mrc"], "or call again"),
    ):
        config["datasets"]["arriving"]["micrographs"] = patterns
        write_config(tmp_path / "arriving.yaml", config)
        assert expected in run_snakemake(*arguments, cwd=tmp_path, check=False).stdout.splitlines()[-1]
