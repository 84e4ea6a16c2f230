"""Public names and the chain on one micrograph; workflow/test_pipeline_run.py compares it with the rules."""

import numpy as np
import pytest
import torch

import crisp_core
from crisp_core.errors import UserError
from crisp_core.segmentation.checkpoints import NetworkFacts, NetworkInput
from crisp_core.segmentation.networks import TrainedNetwork
from crisp_core.segmentation.settings import NetworkSettings


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
        (np.full((64, 64), 1e30), 7.0, 180, r"image: holds values beyond 1e\+12; divide it"),
        (np.zeros((64, 64), complex), 7.0, 180, "image: holds values of the type complex128; give real numbers"),
        (np.zeros((64, 64)), 0.0, 180, "pixel_size: 0.0 is not a positive number"),
        (np.zeros((64, 64)), 7.0, -180, "diameter_angstrom: -180 is not a positive number"),
        (np.zeros((64, 64)), 20.0, 180, "a particle is 9 px wide, the network expects 25 px; .* at most 18 Å"),
    ],
)
def test_an_image_that_does_not_fit_is_refused(image, pixel_size, diameter, message):
    facts = NetworkFacts(["background", "particle"], NetworkInput(25.0, "robust", 0.0), NetworkSettings())
    trained = TrainedNetwork(torch.nn.Identity(), facts)
    with pytest.raises(UserError, match=message):
        crisp_core.pick_micrograph(image, pixel_size, trained, diameter_angstrom=diameter)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"margin_angstrom": -50.0}, "margin_angstrom: -50.0 is not a length"),
        ({"margin_angstrom": np.nan}, "margin_angstrom: nan is not a length"),
        ({"threshold": np.nan}, "threshold: nan is not a number"),
        ({"tile_px": 64, "overlap_px": -20}, "overlap_px: -20 is not between 0 and half of tile_px, 64"),
        ({"tile_px": 64, "overlap_px": 33}, "overlap_px: 33 is not between 0 and half of tile_px, 64"),
        ({"tile_px": 0, "overlap_px": 0}, "overlap_px: 0 is not between 0 and half of tile_px, 0"),
    ],
)
def test_an_option_that_would_spoil_the_result_is_refused(option, message):
    with pytest.raises(UserError, match=message):
        crisp_core.pick_micrograph(np.ones((64, 64)), 7.0, "general", diameter_angstrom=180, **option)
