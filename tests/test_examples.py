"""The notebook that opens results; workflow/test_pipeline_run.py runs the other one."""

import runpy
import sys

import h5py
import numpy as np
import pandas as pd
import pytest

import crisp_core
from crisp_core.formats.arrays import write_array
from crisp_core.formats.relion_coordinates import write_coordinates_star
from tests.conftest import ROOT

NAMES = ("first", "second")


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Folder of a run with two micrographs in two batches; the second has more centres."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    folder = tmp_path / "results/mine/general"
    for name in ("candidates", "picks", "probability", "../micrographs"):
        (folder / name).mkdir(parents=True)
    for batch, name in enumerate(NAMES):
        image = np.random.default_rng(batch).normal(size=(40, 60)).astype("float32")
        crisp_core.write_mrc(folder / f"../micrographs/{name}.mrc", image, pixel_size=4, dtype="float32")
        rows = 3 + batch
        table = pd.DataFrame(
            {"micrograph": name, "x": 10.0 * np.arange(rows), "y": 5.0, "score": 0.9 - 0.2 * np.arange(rows)}
        )
        write_coordinates_star(folder / f"candidates/{batch:04d}.star", table)
        write_coordinates_star(folder / f"picks/{batch:04d}.star", table[table["score"] > 0.6])
        with h5py.File(folder / f"probability/{batch:04d}.h5", "w") as file:
            values = np.full((20, 30), 0.5, np.float16)
            write_array(file, "probability", name, values, pixel_size=8, full_shape=image.shape)
    return folder


def test_the_notebook_of_results_writes_the_picks_of_another_threshold(run, tmp_path, monkeypatch, capsys):
    script = str(ROOT / "examples/open_results.py")
    monkeypatch.setattr(sys, "argv", [script, "results/mine/general", "0.4", "again.star"])
    ran = runpy.run_path(script)
    assert "4 picks of the run, 6 with a score of at least 0.4" in capsys.readouterr().out
    assert ran["micrograph"] == "second" and ran["read_map"](run, "first").shape == (20, 30)
    written = crisp_core.read_coordinates(tmp_path / "again.star")
    assert written["micrograph"].value_counts().to_dict() == {"first": 3, "second": 3}
    assert "results/mine/micrographs/first.mrc" in (tmp_path / "again.star").read_text()
    assert (tmp_path / "again.png").stat().st_size > 10_000
    with pytest.raises(SystemExit, match="has no map of third"):
        ran["read_map"](run, "third")
