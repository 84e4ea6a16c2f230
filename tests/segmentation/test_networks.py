import gc
import logging
import re
import socket
import time
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
import safetensors.torch
import timm
import torch

from crisp_core.errors import UserError
from crisp_core.segmentation import networks
from crisp_core.segmentation.checkpoints import NetworkFacts, NetworkInput, read_facts, write_facts
from crisp_core.segmentation.inference import padded_logits
from crisp_core.segmentation.networks import (
    TrainedNetwork,
    build_network,
    load_network,
    n_parameters,
    save_network,
    total_stride,
)
from crisp_core.segmentation.settings import NetworkSettings

SMALL = NetworkSettings(encoder_weights=None, options={"encoder_depth": 3, "decoder_channels": [16, 8, 8]})
# the publication's encoders by smp's names: million parameters with U-Net++ there (its Table 1) and here
PAPER_ENCODERS = {
    "resnet50": (49.0, 49.0),
    "tu-resnest50d": (50.9, 50.9),
    "tu-res2net50_26w_4s": (49.1, 49.1),
    "tu-regnety_064": (40.6, 40.6),
    "tu-gernet_l": (40.9, 40.9),
    "se_resnet50": (51.5, 51.5),
    "inceptionv4": (59.4, 59.4),
    "efficientnet-b5": (31.9, 31.9),
    "densenet201": (48.6, 48.6),
    "dpn68b": (40.0, 23.2),
    "vgg19_bn": (44.7, 44.7),
}
NOT_DILATED = ("inceptionv4", "densenet201", "vgg19_bn")
FACTS = NetworkFacts(["background", "particle"], NetworkInput(25.0, "robust", 0.0), SMALL)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return build_network(SMALL, 2).eval()


def test_a_saved_network_predicts_the_same(network, tmp_path):
    path = tmp_path / "network.pt"
    save_network(path, TrainedNetwork(network, FACTS), state=network.state_dict())
    loaded = load_network(path)
    image = torch.randn(1, 1, 32, 32)
    # in another layout of memory, the sums of a convolution have another order
    torch.testing.assert_close(loaded.network(image), network(image), rtol=0, atol=1e-5)
    assert loaded.facts._replace(versions={}) == FACTS._replace(versions={})
    assert loaded.facts == read_facts(path) and loaded.facts.versions["torch"] == torch.__version__


def test_saving_twice_gives_the_same_bytes(network, tmp_path):
    trained = TrainedNetwork(network, FACTS)
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
    settings = NetworkSettings(architecture=architecture, encoder=encoder, encoder_weights=None)
    network = build_network(settings, 2).eval()
    with torch.inference_mode():
        assert padded_logits(network, torch.zeros(1, 1, 70, 90)).shape == (1, 2, 70, 90)


def settings_of(architecture, encoder, *, weights=None):
    return NetworkSettings(architecture=architecture, encoder=encoder, encoder_weights=weights, options={})


def train_step(network, n_classes):
    """Forward and backward pass of two tiles of one channel, which must reach nearly all parameters.

    smp counts a block of U-Net++ with VGG that its forward pass leaves out, a tenth of the whole.
    """
    logits = network(torch.randn(2, 1, 64, 64))
    assert logits.shape == (2, n_classes, 64, 64)
    logits.square().mean().backward()
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    assert all(torch.isfinite(gradient).all() for gradient in gradients)
    assert sum(gradient.numel() for gradient in gradients) > 0.85 * n_parameters(network)


def test_weights_that_are_not_finite_are_refused(network, tmp_path):
    state = network.state_dict()
    next(iter(state.values())).view(-1)[0] = np.nan
    save_network(tmp_path / "network.pt", TrainedNetwork(network, FACTS), state=state)
    with pytest.raises(UserError, match=r"network\.pt: holds NaN or infinite weights; train it again, with a lower"):
        load_network(tmp_path / "network.pt")


@pytest.fixture
def freed():
    """The memory of a large network is free for the next one."""
    yield
    gc.collect()


@pytest.mark.slow
@pytest.mark.parametrize("encoder", PAPER_ENCODERS)
def test_the_publications_unetplusplus(encoder, freed):
    torch.manual_seed(0)
    network = build_network(settings_of("unetplusplus", encoder), 2)
    assert round(n_parameters(network) / 1e6, 1) == PAPER_ENCODERS[encoder][1]
    train_step(network, 2)


@pytest.mark.slow
@pytest.mark.parametrize("encoder", [name for name in PAPER_ENCODERS if name not in NOT_DILATED])
def test_the_publications_deeplabv3(encoder, freed):
    torch.manual_seed(0)
    train_step(build_network(settings_of("deeplabv3", encoder), 4), 4)


@pytest.mark.parametrize("encoder", [*NOT_DILATED, "tu-dpn68b", "tu-vgg11_bn"])
def test_an_encoder_that_cannot_be_dilated_is_refused_by_deeplabv3(encoder, freed):
    with pytest.raises(UserError) as caught, torch.device("meta"):
        build_network(settings_of("deeplabv3", encoder), 2)
    assert str(caught.value) == (
        f"network: deeplabv3 needs an encoder that can be dilated, and {encoder} cannot; take another encoder, "
        "for instance resnet50, or another architecture, for instance unetplusplus"
    )


@pytest.mark.parametrize("encoder", ["tu-convnext_atto", "tu-mobilenetv3_small_050", "tu-regnetx_002"])
def test_encoders_of_timm(encoder):
    torch.manual_seed(0)
    train_step(build_network(settings_of("unet", encoder), 2), 2)


def test_the_documented_encoders_are_these():
    text = (Path(__file__).parents[2] / "docs/networks.md").read_text()
    rows = re.findall(r"^\| [^|]+ \| `([^`]+)` \| ([0-9.]+) \| ([0-9.]+) \| (yes|no) \|$", text, re.M)
    documented = {name: (float(paper), float(here)) for name, paper, here, _ in rows}
    assert documented == PAPER_ENCODERS
    assert tuple(name for name, *_, dilated in rows if dilated == "no") == NOT_DILATED


@pytest.fixture
def no_hub(tmp_path, monkeypatch):
    """A hub that answers nobody, and an empty cache, which is returned."""
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


@pytest.mark.parametrize("encoder", ["resnet18", "dpn68b", "tu-resnet10t"])
def test_without_a_hub_the_start_is_random_and_one_line_says_so(encoder, no_hub, caplog):
    torch.manual_seed(0)
    random = build_network(settings_of("unet", encoder), 2)
    torch.manual_seed(0)
    start = time.perf_counter()
    with caplog.at_level(logging.WARNING):
        network = build_network(settings_of("unet", encoder, weights="imagenet"), 2)
    # the hub's client alone would try for half a minute
    assert time.perf_counter() - start < 20
    assert caplog.messages == [
        f"no imagenet weights of {encoder}: they are not in the cache, and http://127.0.0.1:9 does not answer; "
        "random start"
    ]
    state = network.state_dict()
    assert all(torch.equal(state[name], tensor) for name, tensor in random.state_dict().items())
    assert not huggingface_hub.constants.HF_HUB_OFFLINE


def test_a_hub_that_stays_silent_is_given_up_in_time(no_hub, monkeypatch, caplog):
    monkeypatch.setattr(networks, "HUB_TIMEOUT_S", 0.2)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    # connections wait in its queue, and nobody accepts them
    with socket.create_server(("127.0.0.1", 0)) as silent, caplog.at_level(logging.WARNING):
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", url)
        start = time.perf_counter()
        build_network(settings_of("unet", "resnet18", weights="imagenet"), 2)
        assert time.perf_counter() - start < 20
    (line,) = caplog.messages
    assert line.endswith(f"they are not in the cache, and {url} does not answer; random start")


def test_weights_in_the_cache_are_used_without_a_hub(no_hub, caplog):
    torch.manual_seed(7)
    encoder = timm.create_model("resnet10t")
    revision = "0" * 40
    folder = no_hub / "models--timm--resnet10t.c3_in1k"
    (folder / "snapshots" / revision).mkdir(parents=True)
    safetensors.torch.save_file(encoder.state_dict(), folder / "snapshots" / revision / "model.safetensors")
    (folder / "refs").mkdir()
    (folder / "refs/main").write_text(revision)
    with caplog.at_level(logging.WARNING):
        network = build_network(settings_of("unet", "tu-resnet10t", weights="imagenet"), 2)
    assert caplog.messages == []
    weights = network.encoder.model.layer1[0].conv1.weight
    assert torch.equal(weights, encoder.layer1[0].conv1.weight)
    # one channel takes the sum over the colours
    torch.testing.assert_close(network.encoder.model.conv1[0].weight, encoder.conv1[0].weight.sum(1, keepdim=True))


def test_an_encoder_without_weights_starts_at_random(no_hub, caplog):
    with caplog.at_level(logging.WARNING):
        build_network(settings_of("unet", "tu-dpn48b", weights="imagenet"), 2)
    assert caplog.messages == ["no imagenet weights of tu-dpn48b: timm has none; random start"]


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        ("resnet18", "'nosuch' of resnet18 is not known; known are imagenet, ssl, swsl"),
        ("tu-resnet10t", "timm's weights are chosen by the encoder's name"),
    ],
)
def test_weights_of_another_name_are_refused(encoder, message):
    with pytest.raises(UserError, match=message):
        build_network(settings_of("unet", encoder, weights="nosuch"), 2)


@pytest.mark.parametrize("change", [{"encoder": "nosuch"}, {"architecture": "nosuch"}, {"options": {"nosuch": 1}}])
def test_an_unknown_name_or_option_gets_one_line(change):
    with pytest.raises(UserError, match="nosuch") as caught:
        build_network(SMALL.changed(**change), 2)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04"])
def test_a_damaged_checkpoint_is_refused_by_name(content, tmp_path):
    path = tmp_path / "network.pt"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"network\.pt: not a network written by this version of CRISP"):
        load_network(path)


def test_a_missing_checkpoint_is_named(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        load_network(tmp_path / "network.pt")


class Exploit:
    def __reduce__(self):
        import os

        return os.mkdir, ("exploited",)


def test_a_checkpoint_runs_no_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"state": Exploit()}, "network.pt")
    write_facts("network.pt", FACTS)
    with pytest.raises(UserError, match="not a network written by CRISP"):
        load_network("network.pt")
    assert not (tmp_path / "exploited").exists()
