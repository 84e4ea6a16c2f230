"""Installation of a network among those that come with CRISP."""

import pytest
import torch
import yaml

from crisp_core.errors import UserError
from crisp_core.segmentation.checkpoints import NetworkFacts, NetworkInput, read_facts, training_input
from crisp_core.segmentation.networks import TrainedNetwork, build_network, load_network, save_network
from crisp_core.segmentation.settings import NetworkSettings
from crisp_core.segmentation.shipped import sha256
from crisp_core.segmentation.shipped.installing import LARGE, add_network, facts_at_width, stored

CENTERS = {"network": "../x.pt", "finder": {"name": "nms"}, "threshold": 0.4, "calibration": {"score": [0.1]}}


@pytest.fixture
def trained(tmp_path):
    """Checkpoint of a network with random weights, and a centers.yaml."""
    settings = NetworkSettings(encoder_weights=None, classes=["background", "particle"])
    torch.manual_seed(0)
    network = build_network(settings, 2)
    facts = NetworkFacts(settings.classes, NetworkInput(25.0, "robust", 0.0), settings)
    save_network(tmp_path / "network.pt", TrainedNetwork(network, facts), state=network.state_dict())
    (tmp_path / "centers.yaml").write_text(yaml.safe_dump(CENTERS))
    return tmp_path


def test_a_network_is_installed_with_its_threshold_and_digest(trained):
    folder = trained / "shipped"
    folder.mkdir()
    done = add_network(trained / "network.pt", name="mine", centers=trained / "centers.yaml", images=[], folder=folder)
    assert done.is_half and done.difference <= 1e-3
    assert done.path.stat().st_size < 0.7 * (trained / "network.pt").stat().st_size
    assert read_facts(done.path) == read_facts(trained / "network.pt")
    state = load_network(done.path).network.state_dict()
    expected = load_network(trained / "network.pt").network.state_dict()
    assert all(torch.allclose(state[key], expected[key], rtol=1e-3, atol=1e-6) for key in expected)
    entry = yaml.safe_load((folder / "mine.yaml").read_text())
    assert entry == {"sha256": sha256(done.path)} | {
        key: CENTERS[key] for key in ("finder", "threshold", "calibration")
    }


def test_a_network_at_another_width_keeps_that_of_its_training(trained):
    settings = {"centers": trained / "centers.yaml", "folder": trained}
    wider = add_network(trained / "network.pt", name="wider", pixels_per_diameter=27.5, **settings).path
    before, facts = read_facts(trained / "network.pt"), read_facts(wider)
    assert facts.input.diameter_px == 27.5 and training_input(facts) == before.input
    assert facts_at_width(facts, None) == facts
    assert facts_at_width(facts, 25.0) == before == facts_at_width(before, None)
    for width in (0, -25, float("nan")):
        with pytest.raises(UserError, match=r"--pixels-per-diameter: .* is not a width"):
            facts_at_width(facts, width)


def test_only_large_arrays_are_stored_in_half_precision():
    large, small = torch.zeros(LARGE + 1), torch.zeros(LARGE)
    assert stored(large, half=True).dtype == torch.float16
    assert stored(large, half=False).dtype == stored(small, half=True).dtype == torch.float32


def test_centers_without_a_threshold_are_refused(trained):
    (trained / "centers.yaml").write_text("finder: {name: nms}\n")
    with pytest.raises(UserError, match=r"centers\.yaml: has no finder or no threshold"):
        add_network(trained / "network.pt", name="mine", centers=trained / "centers.yaml", folder=trained)
