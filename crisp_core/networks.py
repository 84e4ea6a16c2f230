"""Segmentation networks by name, and the checkpoint that holds all that is needed to use one again."""

import logging
import pickle
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import segmentation_models_pytorch as smp
import torch
from torch import nn

from crisp_core import __version__
from crisp_core.errors import UserError

log = logging.getLogger("crisp")

CHECKPOINT_FORMAT = 1

# four levels and few channels: 1.9 M parameters with the default encoder, which a CPU trains in minutes
SMALL_DECODER = {"encoder_depth": 4, "decoder_channels": [32, 24, 16, 16]}


class TrainedNetwork(NamedTuple):
    """A network in evaluation mode with the settings it was built and trained with."""

    network: nn.Module
    network_settings: dict[str, Any]
    preparation: dict[str, Any]
    classes: list[str]


def build_network(settings: Mapping[str, Any], n_classes: int, *, pretrained: bool = True) -> nn.Module:
    """Build a network of segmentation_models.pytorch for one-channel images.

    Parameters
    ----------
    settings : mapping
        `architecture` and `encoder` by smp's names, `encoder_weights` (for instance ``"imagenet"``, or None for a
        random start) and `options`, keyword arguments of the architecture, where None is `SMALL_DECODER` for unet and
        unetplusplus and smp's defaults for the others.
    n_classes : int
        Number of labels, background included: channels of the logits.
    pretrained : bool
        False leaves the encoder's weights random, for a checkpoint's weights to be loaded over them.

    Raises
    ------
    UserError
        If smp refuses the name or the options.
    """
    weights = settings["encoder_weights"] if pretrained else None
    try:
        return _create(settings, n_classes, weights)
    except OSError as error:
        log.warning("%s weights of %s cannot be reached (%s): random start", weights, settings["encoder"], error)
        return _create(settings, n_classes, None)


def _create(settings: Mapping[str, Any], n_classes: int, weights: str | None) -> nn.Module:
    options = settings["options"]
    if options is None:
        options = SMALL_DECODER if settings["architecture"] in ("unet", "unetplusplus") else {}
    try:
        return smp.create_model(
            settings["architecture"],
            settings["encoder"],
            encoder_weights=weights,
            in_channels=1,
            classes=n_classes,
            **options,
        )
    except OSError:
        raise
    # smp raises KeyError, ValueError, RuntimeError and TypeError for names and options it does not know
    except (KeyError, ValueError, RuntimeError, TypeError, AttributeError) as error:
        raise UserError(
            f"network: architecture {settings['architecture']!r} with encoder {settings['encoder']!r} and options "
            f"{options} cannot be built ({error}); smp's names are listed in its documentation"
        ) from error


def total_stride(network: nn.Module) -> int:
    """Pixels that a side of the network's input must be a multiple of."""
    return int(getattr(network.encoder, "output_stride", 32))


def n_parameters(network: nn.Module) -> int:
    """Count the trainable parameters."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def save_network(path: Path | str, trained: TrainedNetwork, *, state: Mapping[str, torch.Tensor]) -> None:
    """Write a checkpoint of plain values and tensors, so that ``weights_only=True`` can read it."""
    checkpoint = {
        "format": CHECKPOINT_FORMAT,
        "network": trained.network_settings,
        "preparation": trained.preparation,
        "classes": trained.classes,
        "versions": versions(),
        "state": {name: tensor.detach().cpu() for name, tensor in state.items()},
    }
    torch.save(checkpoint, path)


def load_network(path: Path | str, *, device: str = "cpu") -> TrainedNetwork:
    """Read a checkpoint of `save_network`; only tensors and plain values are ever unpickled.

    Raises
    ------
    UserError
        If the file is missing, damaged, or not a checkpoint of CRISP.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        if checkpoint["format"] != CHECKPOINT_FORMAT:
            raise KeyError("format")
        network = build_network(checkpoint["network"], len(checkpoint["classes"]), pretrained=False)
        network.load_state_dict(checkpoint["state"])
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such network; train one or correct the path") from error
    except (pickle.UnpicklingError, RuntimeError, KeyError, TypeError, EOFError, OSError) as error:
        raise UserError(f"{path}: not a network written by CRISP, or damaged; train it again") from error
    network.to(device).eval()
    return TrainedNetwork(network, checkpoint["network"], checkpoint["preparation"], checkpoint["classes"])


def check_preparation(trained: Mapping[str, Any], current: Mapping[str, Any], *, path: Path | str) -> None:
    """Refuse a network for images that are prepared in another way than those it was trained on.

    Raises
    ------
    UserError
        Naming the first setting that differs.
    """
    for key in ("working_pixel_size", "normalization", "highpass_angstrom"):
        if trained[key] != current[key]:
            raise UserError(
                f"{path}: was trained with {key} {trained[key]}, but the dataset's preparation says {current[key]}; "
                f"set it to {trained[key]} or train again"
            )


def versions() -> dict[str, str]:
    """Versions of what a network's numbers depend on."""
    return {
        "crisp": __version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "segmentation_models_pytorch": smp.__version__,
    }
