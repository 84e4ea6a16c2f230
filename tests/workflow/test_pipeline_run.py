"""The chain on one micrograph gives what the workflow gives, file by file."""

import runpy
import sys

import numpy as np
import pandas as pd
import pytest
import yaml

import crisp_core
from crisp_core.formats.relion_coordinates import read_coordinates_star

from .conftest import ROOT, TINY

pytestmark = pytest.mark.slow
TILES = TINY["experiments"]["small"]["prediction"]
COLUMNS = ["x", "y", "score"]


def test_picks_are_those_of_the_workflow(tiny_run):
    centers = yaml.safe_load((tiny_run / "results/tiny/small/centers.yaml").read_text())
    settings = {key: centers[key] for key in ("finder", "threshold")}
    for batch in ("0000", "0001"):
        picks = read_coordinates_star(tiny_run / f"results/tiny/small/picks/{batch}.star")
        for name, rows in picks.groupby("micrograph"):
            path = tiny_run / f"results/tiny/micrographs/{name}.mrc"
            image, pixel_size = crisp_core.read_micrograph(path, pixel_size=7.08)
            network = tiny_run / "results/tiny/small/network.pt"
            found = crisp_core.pick_micrograph(image, pixel_size, network, diameter_angstrom=180, **settings, **TILES)
            order = {"by": COLUMNS, "ignore_index": True}
            expected = rows[COLUMNS].sort_values(**order)
            pd.testing.assert_frame_equal(found.picks[COLUMNS].sort_values(**order), expected, atol=1e-5, rtol=0)


def test_the_notebook_runs(tiny_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    micrograph = str(tiny_run / "results/tiny/micrographs/simulated_0001.mrc")
    network = str(tiny_run / "results/tiny/small/network.pt")
    script = str(ROOT / "examples/pick_one_micrograph.py")
    monkeypatch.setattr(sys, "argv", [script, network, micrograph, "7.08", "180"])
    ran = runpy.run_path(script)
    written = crisp_core.read_coordinates(tmp_path / "picks.star")
    assert len(written) == len(ran["picks"]) > 0
    np.testing.assert_allclose(written[["x", "y"]], ran["picks"][["x", "y"]], atol=1e-4)
    assert (tmp_path / "picks.png").stat().st_size > 10_000
