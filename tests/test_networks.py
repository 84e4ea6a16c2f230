import pytest
import torch

from crisp_core.errors import UserError
from crisp_core.inference import padded_logits
from crisp_core.networks import (
    TrainedNetwork,
    build_network,
    check_preparation,
    load_network,
    save_network,
    total_stride,
)

SMALL = {
    "architecture": "unetplusplus",
    "encoder": "tu-resnet10t",
    "encoder_weights": None,
    "options": {"encoder_depth": 3, "decoder_channels": [16, 8, 8]},
}
PREPARATION = {"working_pixel_size": 7.08, "normalization": "robust", "highpass_angstrom": 0}


@pytest.fixture
def network():
    torch.manual_seed(0)
    return build_network(SMALL, 2).eval()


def test_a_saved_network_predicts_the_same(network, tmp_path):
    path = tmp_path / "network.pt"
    save_network(
        path, TrainedNetwork(network, SMALL, PREPARATION, ["background", "particle"]), state=network.state_dict()
    )
    loaded = load_network(path)
    image = torch.randn(1, 1, 32, 32)
    assert torch.equal(loaded.network(image), network(image))
    assert loaded[1:] == (SMALL, PREPARATION, ["background", "particle"])


def test_saving_twice_gives_the_same_bytes(network, tmp_path):
    trained = TrainedNetwork(network, SMALL, PREPARATION, ["background", "particle"])
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        save_network(tmp_path / folder / "network.pt", trained, state=network.state_dict())
    assert (tmp_path / "a/network.pt").read_bytes() == (tmp_path / "b/network.pt").read_bytes()


def test_the_stride_is_what_the_network_needs(network):
    stride = total_stride(network)
    assert stride == 8
    assert network(torch.zeros(1, 1, stride, 3 * stride)).shape == (1, 2, stride, 3 * stride)


@pytest.mark.parametrize("architecture", ["unet", "unetplusplus", "deeplabv3", "deeplabv3plus", "fpn", "manet"])
@pytest.mark.parametrize("encoder", ["resnet18", "tu-resnet10t"])
def test_any_architecture_and_encoder_predicts_any_size(architecture, encoder):
    settings = {"architecture": architecture, "encoder": encoder, "encoder_weights": None, "options": None}
    network = build_network(settings, 2).eval()
    with torch.inference_mode():
        assert padded_logits(network, torch.zeros(1, 1, 70, 90)).shape == (1, 2, 70, 90)


@pytest.mark.parametrize("change", [{"encoder": "nosuch"}, {"architecture": "nosuch"}, {"options": {"nosuch": 1}}])
def test_an_unknown_name_or_option_gets_one_line(change):
    with pytest.raises(UserError, match="nosuch") as caught:
        build_network(SMALL | change, 2)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04"])
def test_a_damaged_checkpoint_is_refused_by_name(content, tmp_path):
    path = tmp_path / "network.pt"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"network\.pt: not a network written by CRISP"):
        load_network(path)


def test_a_missing_checkpoint_is_named(tmp_path):
    with pytest.raises(UserError, match="no such network"):
        load_network(tmp_path / "network.pt")


class Exploit:
    def __reduce__(self):
        import os

        return os.mkdir, ("exploited",)


def test_a_checkpoint_runs_no_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"format": 1, "state": Exploit()}, "network.pt")
    with pytest.raises(UserError, match="not a network written by CRISP"):
        load_network("network.pt")
    assert not (tmp_path / "exploited").exists()


def test_another_preparation_than_the_networks_is_refused():
    check_preparation(PREPARATION, PREPARATION | {"margin_angstrom": 100}, path="network.pt")
    with pytest.raises(
        UserError, match=r"network\.pt: was trained with normalization robust, .* says gaussian_mixture"
    ):
        check_preparation(PREPARATION, PREPARATION | {"normalization": "gaussian_mixture"}, path="network.pt")
