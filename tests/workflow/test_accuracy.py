"""The chain at full size: the default run, and real micrographs with less training than the shipped example."""

import sys

import numpy as np
import pandas as pd
import pytest

from crisp_core.evaluation.performance import rule_costs
from crisp_core.formats.arrays import read_array

from .conftest import ROOT, copy_workflow, run_snakemake, write_config

pytestmark = pytest.mark.slow


def pooled_test_row(path):
    return pd.read_csv(path, sep="\t").query("part == 'test' and micrograph == 'all'").iloc[0]


def class_shares(dataset):
    """Share of each of the four classes in the labels of a dataset's test part."""
    split = pd.read_csv(dataset / "split.tsv", sep="\t", dtype=str)
    names = split.loc[split["part"] == "test", "micrograph"]
    labels = np.stack([read_array(dataset / "labels/0000.h5", "label", name).data for name in names])
    return np.bincount(labels.ravel(), minlength=4) / labels.size


def test_the_default_run_shows_the_job_and_reaches_its_targets(tmp_path):
    folder = copy_workflow(tmp_path / "crisp")
    # three eighths of the training, to save time
    short = write_config(folder / "short.yaml", {"experiments": {"unet": {"training": {"epochs": 3}}}})
    run_snakemake("--cores", "8", "--configfile", "config.yaml", short, cwd=folder)
    run = folder / "results/embedded/unet"
    assert pooled_test_row(run / "metrics/pixels.tsv")["f1"] >= 0.85
    # a report without an error would not show what an error looks like
    assert 0.90 <= pooled_test_row(run / "metrics/picks.tsv")["f1"] < 0.995
    background, particle, contaminant, carbon = class_shares(folder / "results/embedded")
    assert background > 0.5 and particle > 0.04 and contaminant > 0.004 and carbon > 0.04
    assert (run / "report.html").stat().st_size < 15e6


@pytest.mark.real
def test_short_training_on_real_micrographs_finds_most_particles(shared_data, tmp_path):
    folder = copy_workflow(tmp_path / "crisp")
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared/data").symlink_to(shared_data)
    short = {"epochs": 4, "crops_per_micrograph": 60, "crop_px": 128}
    change = write_config(
        folder / "short.yaml",
        {"experiments": {"discs": {"training": short, "prediction": {"turns": False}}}},
    )
    example = ROOT / "examples/empiar-10017.yaml"
    run_snakemake("--cores", "2", "--configfile", example, change, cwd=folder, python=sys.executable)
    row = pooled_test_row(folder / "results/empiar-10017/discs/metrics/picks.tsv")
    assert row["f1"] >= 0.82
    assert row["n_truth"] == 2511
    # micrographs of 4096², of which docs/performance.md says 1.9 GiB; one of 4 is promised
    memory = rule_costs((folder / "results").rglob("performance"))["peak_mib"]
    assert {"prepare", "train", "predict", "extract"} <= set(memory.index)
    assert memory.max() < 3000


@pytest.mark.real
def test_flipped_coordinates_stop_the_real_dataset_with_one_line(shared_data, tmp_path):
    folder = copy_workflow(tmp_path / "crisp")
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared/data").symlink_to(shared_data)
    change = write_config(
        folder / "flipped.yaml",
        {
            "datasets": {
                "empiar-10017": {
                    "micrographs": "../shared/data/empiar-10017/micrographs/*14_33_35*.jpg",
                    "coordinates": {
                        "files": "../shared/data/empiar-10017/coordinates/*14_33_35*.csv",
                        "origin": "bottom-left",
                    },
                    "split": {"train": 1, "validation": 1, "test": 0},
                }
            }
        },
    )
    example = ROOT / "examples/empiar-10017.yaml"
    target = "results/empiar-10017/coordinates.star"
    done = run_snakemake(target, "--cores", "2", "--configfile", example, change, cwd=folder, check=False)
    assert done.returncode == 1
    line = next(line for line in done.stdout.splitlines() if "error: " in line)
    assert "datasets/empiar-10017/coordinates: its coordinates fit the micrographs upside down" in line
