"""Segmentation networks by name, and the checkpoint that holds all that is needed to use one again."""

import logging
import pickle
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import requests
import segmentation_models_pytorch as smp
import timm
import torch
from huggingface_hub import constants as hub
from torch import nn

from crisp_core import __version__
from crisp_core.classes import CLASSES
from crisp_core.errors import UserError
from crisp_core.segmentation.checkpoints import NetworkFacts, read_facts, write_facts
from crisp_core.segmentation.crf.network import CrfNetwork
from crisp_core.segmentation.crf.settings import LayerSettings
from crisp_core.segmentation.settings import NetworkSettings

log = logging.getLogger("crisp")

# four levels and few channels: 1.9 M parameters with the default encoder, which a CPU trains in minutes
SMALL_DECODER = {"encoder_depth": 4, "decoder_channels": [32, 24, 16, 16]}

# architectures that replace strides of the encoder's last stages by dilation
DILATING = ("deeplabv3", "deeplabv3plus", "pan")

HUB_TIMEOUT_S = 4.0


class TrainedNetwork(NamedTuple):
    """A network in evaluation mode, or one with a CRF, and the facts of its checkpoint."""

    network: nn.Module
    facts: NetworkFacts


def build_network(settings: NetworkSettings, n_classes: int, *, pretrained: bool = True) -> nn.Module:
    """Build a network of segmentation_models.pytorch for one-channel images.

    Parameters
    ----------
    settings : NetworkSettings
        `architecture` and `encoder` by smp's names (docs/networks.md lists those of the publication),
        `encoder_weights` (``"imagenet"``, another name of smp, or None for a random start) and `options`, keyword
        arguments of the architecture, where None is `SMALL_DECODER` for unet and unetplusplus and smp's defaults for
        the others.
    n_classes : int
        Number of labels, background included: channels of the logits.
    pretrained : bool
        False leaves the encoder's weights random, for a checkpoint's weights to be loaded over them.

    Notes
    -----
    Weights come from the cache of huggingface_hub, or else from its hub. Where there are none, one line is logged and
    the start is random, the same as without `encoder_weights`.

    Raises
    ------
    UserError
        If smp refuses the name or the options, or knows no weights of that name.
    """
    if not pretrained or settings.encoder_weights is None:
        return _create(settings, n_classes, None)
    random_state = torch.get_rng_state()
    try:
        return _create_pretrained(settings, n_classes, settings.encoder_weights)
    # the hub, its cache, a proxy or a damaged file may fail in many ways, all of them for want of weights; what else
    # is wrong shows itself again without them
    except Exception as error:
        if isinstance(error, UserError):
            raise
        reason = " ".join(str(error).split())[:200]
    torch.set_rng_state(random_state)
    network = _create(settings, n_classes, None)
    log.warning("no %s weights of %s: %s; random start", settings.encoder_weights, settings.encoder, reason)
    return network


def _create_pretrained(settings: NetworkSettings, n_classes: int, name: str) -> nn.Module:
    weights = weights_name(settings.encoder, name)
    random_state = torch.get_rng_state()
    with only_cached(), suppress(OSError):
        return _smp_network(settings, n_classes, weights)
    # the decoder starts the same, wherever the encoder's weights come from
    torch.set_rng_state(random_state)
    if not hub_answers():
        raise OSError(f"they are not in the cache, and {hub.ENDPOINT} does not answer")
    return _smp_network(settings, n_classes, weights)


def weights_name(encoder: str, weights: str) -> str | bool:
    """Name under which smp knows the weights of an encoder; True for timm's, whose name is part of the encoder's.

    Some encoders have ImageNet weights under another name alone, such as ``imagenet+5k``.

    Raises
    ------
    LookupError
        If the encoder has no ImageNet weights.
    UserError
        If it has no weights of another name that was asked for.
    """
    if encoder.startswith("tu-"):
        if weights != "imagenet":
            raise UserError(
                f"network/encoder_weights: {weights!r} of {encoder}; timm's weights are chosen by the encoder's name "
                f"({encoder.partition('.')[0]}.<tag>), so give imagenet or null"
            )
        if not timm.is_model_pretrained(encoder.removeprefix("tu-")):
            raise LookupError("timm has none")
        return True
    known = list(smp.encoders.encoders.get(encoder, {}).get("pretrained_settings", {}))
    if weights in known:
        return weights
    if weights != "imagenet":
        raise UserError(f"network/encoder_weights: {weights!r} of {encoder} is not known; known are {', '.join(known)}")
    for name in known:
        if name.startswith("imagenet"):
            return name
    raise LookupError("smp has none")


def hub_answers() -> bool:
    """Whether the hub of huggingface_hub sends any answer within `HUB_TIMEOUT_S`, after its name was resolved.

    Its own client repeats a failed request for half a minute and longer.
    """
    if hub.HF_HUB_OFFLINE:
        return False
    try:
        requests.head(hub.ENDPOINT, timeout=HUB_TIMEOUT_S)
    except requests.RequestException:
        return False
    return True


@contextmanager
def only_cached() -> Iterator[None]:
    """Let huggingface_hub read its cache alone, as its HF_HUB_OFFLINE does for a whole process."""
    before = hub.HF_HUB_OFFLINE
    hub.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        hub.HF_HUB_OFFLINE = before


def _create(settings: NetworkSettings, n_classes: int, weights: str | bool | None) -> nn.Module:
    architecture, encoder = settings.architecture, settings.encoder
    try:
        return _smp_network(settings, n_classes, weights)
    # smp and timm raise all of these for names and options that they do not know
    except (KeyError, ValueError, RuntimeError, TypeError, AttributeError, AssertionError) as error:
        if architecture in DILATING and ("dilat" in str(error) or isinstance(error, AssertionError)):
            raise UserError(
                f"network: {architecture} needs an encoder that can be dilated, and {encoder} cannot; take another "
                "encoder, for instance resnet50, or another architecture, for instance unetplusplus"
            ) from error
        raise UserError(
            f"network: architecture {architecture!r} with encoder {encoder!r} and options {network_options(settings)} "
            f"cannot be built ({error}); smp's names are listed in its documentation"
        ) from error


def _smp_network(settings: NetworkSettings, n_classes: int, weights: str | bool | None) -> nn.Module:
    return smp.create_model(
        settings.architecture,
        settings.encoder,
        encoder_weights=weights,
        in_channels=1,
        classes=n_classes,
        **network_options(settings),
    )


def network_options(settings: NetworkSettings) -> dict[str, Any]:
    """Keyword arguments of the architecture: those given, or the default for it."""
    if settings.options is not None:
        return settings.options
    return SMALL_DECODER if settings.architecture in ("unet", "unetplusplus") else {}


def total_stride(network: nn.Module) -> int:
    """Number of pixels of which the sides of the network's input must be multiples."""
    return int(getattr(network.encoder, "output_stride", 32))


def n_parameters(network: nn.Module) -> int:
    """Count the trainable parameters."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def save_network(path: Path | str, trained: TrainedNetwork, *, state: Mapping[str, torch.Tensor]) -> None:
    """Write a checkpoint: weights of `state` and the facts, with any CRF of `trained.network` and the versions in use.

    It holds tensors and plain values alone, so that ``weights_only=True`` can read it.

    Parameters
    ----------
    path : str or Path
        Checkpoint to write.
    trained : TrainedNetwork
        Network with its facts; `network` is read only for the settings of its CRF.
    state : mapping of tensors
        Weights to write, by their names.
    """
    crf = trained.network.crf.settings.plain() if isinstance(trained.network, CrfNetwork) else None
    torch.save({name: tensor.detach().cpu() for name, tensor in state.items()}, path)
    write_facts(path, trained.facts._replace(crf=crf, versions=versions()))


def load_network(path: Path | str, *, device: str = "cpu") -> TrainedNetwork:
    """Read a checkpoint of `save_network`, with any CRF; only tensors and plain values are ever unpickled.

    Raises
    ------
    UserError
        If the file is missing, damaged, not a checkpoint of CRISP, has a class that is not known here, or weights that
        are not finite.
    """
    facts = read_facts(path)
    if unknown := set(facts.classes) - set(CLASSES):
        raise UserError(f"{path}: classes {', '.join(sorted(unknown))} are not known; install a newer version of CRISP")
    try:
        network = build_network(facts.network, len(facts.classes), pretrained=False)
        if facts.crf is not None:
            network = CrfNetwork(network, LayerSettings.of(facts.crf), len(facts.classes))
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except (pickle.UnpicklingError, RuntimeError, KeyError, TypeError, EOFError, OSError, ValueError) as error:
        raise UserError(f"{path}: not a network written by CRISP, or damaged; train it again") from error
    if not all(torch.isfinite(weights).all() for weights in network.state_dict().values()):
        raise UserError(f"{path}: holds NaN or infinite weights; train it again, with a lower training/learning_rate")
    # both at once, which the method takes although its stub does not say so; this layout is the faster one
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return TrainedNetwork(network.eval(), facts)


def versions() -> dict[str, str]:
    """Versions of the libraries on which the results of a network depend."""
    return {
        "crisp": __version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "segmentation_models_pytorch": smp.__version__,
    }
