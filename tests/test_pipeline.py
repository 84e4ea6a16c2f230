"""The chain on one micrograph gives what the workflow gives, file by file."""

import runpy
import sys

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

import crisp_core
from crisp_core.checkpoints import NetworkFacts, NetworkInput
from crisp_core.errors import UserError
from crisp_core.networks import TrainedNetwork
from crisp_core.star import read_coordinates_star

from .workflow.conftest import TINY, tiny_run  # noqa: F401

TILES = TINY["experiments"]["small"]["prediction"]
COLUMNS = ["x", "y", "score"]


def test_public_names_are_there():
    assert all(callable(getattr(crisp_core, name)) for name in crisp_core.PUBLIC)
    assert "pick_micrograph" in dir(crisp_core)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = crisp_core.nothing


def test_a_missing_network_is_named():
    with pytest.raises(UserError, match=r"nowhere\.pt: no such file"):
        crisp_core.pick_micrograph(np.zeros((64, 64)), 7.0, "nowhere.pt", diameter_angstrom=180)


@pytest.mark.parametrize(
    ("image", "pixel_size", "diameter", "message"),
    [
        (np.zeros((2, 64, 64)), 7.0, 180, r"image: has the shape \(2, 64, 64\)"),
        (np.full((64, 64), np.nan), 7.0, 180, "image: holds NaN"),
        (np.zeros((64, 64)), 0.0, 180, "pixel_size: 0.0 is not a positive number"),
        (np.zeros((64, 64)), 7.0, -180, "diameter_angstrom: -180 is not a positive number"),
        (np.zeros((64, 64)), 20.0, 180, "a particle is 9 px wide, the network was trained on 25 px; .* at most 7.2 Å"),
    ],
)
def test_an_image_that_does_not_fit_is_refused(image, pixel_size, diameter, message):
    facts = NetworkFacts(["background", "particle"], NetworkInput(25.0, "robust", 0.0), {})
    trained = TrainedNetwork(torch.nn.Identity(), facts)
    with pytest.raises(UserError, match=message):
        crisp_core.pick_micrograph(image, pixel_size, trained, diameter_angstrom=diameter)


@pytest.mark.slow
def test_picks_are_those_of_the_workflow(tiny_run):  # noqa: F811
    centers = yaml.safe_load((tiny_run / "results/tiny/small/centers.yaml").read_text())
    settings = {key: centers[key] for key in ("finder", "e", "s", "threshold")}
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


@pytest.mark.slow
def test_the_notebook_runs(tiny_run, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    micrograph = str(tiny_run / "results/tiny/micrographs/simulated_0001.mrc")
    network = str(tiny_run / "results/tiny/small/network.pt")
    script = str(crisp_core.__file__).replace("crisp_core/__init__.py", "examples/pick_one_micrograph.py")
    monkeypatch.setattr(sys, "argv", [script, network, micrograph, "7.08", "180"])
    ran = runpy.run_path(script)
    written = crisp_core.read_coordinates(tmp_path / "picks.star")
    assert len(written) == len(ran["picks"]) > 0
    np.testing.assert_allclose(written[["x", "y"]], ran["picks"][["x", "y"]], atol=1e-4)
    assert (tmp_path / "picks.png").stat().st_size > 10_000
