"""A CRF behind a trained network that nothing trains: its settings are searched on the validation micrographs."""

import logging
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import nn

from crisp_core.errors import UserError
from crisp_core.formats.arrays import read_array
from crisp_core.geometry import middle_window
from crisp_core.segmentation.crf.network import CrfNetwork
from crisp_core.segmentation.crf.settings import LayerSettings
from crisp_core.segmentation.crf.tuning import LEAST_GAIN, Tuned, TuningSample, labelled_channels, tune_layer
from crisp_core.segmentation.crops import LabelledMicrograph, Uncertain, read_label, training_label
from crisp_core.segmentation.inference import padded_logits

log = logging.getLogger("crisp")

LEAST_MICROGRAPHS = 2


def tune(
    network: nn.Module,
    micrographs: Sequence[LabelledMicrograph],
    *,
    classes: Sequence[str],
    uncertain: Uncertain,
    tile_px: int,
    diameter_px: float,
) -> tuple[CrfNetwork, list[dict[str, str | float]]]:
    """Search a CRF on the validation micrographs; it is off where it does not win over its control.

    Parameters
    ----------
    network : Module
        Trained network without a CRF, on the CPU.
    micrographs : sequence of LabelledMicrograph
        Validation part.
    classes : sequence of str
        Names of the network's channels.
    uncertain : Uncertain
        Pixels that do not count.
    tile_px : int
        Largest side of the middle of each micrograph that is used, in px.
    diameter_px : float
        Diameter of the particle, in px.

    Returns
    -------
    network : CrfNetwork
        Network with the best CRF, or with one that is off.
    history : list of dicts
        Rows control and crf: IoU of the micrographs left out, and the best settings.

    Raises
    ------
    UserError
        If there are fewer than two micrographs, or their labels are empty.
    """
    network.eval()
    if len(micrographs) < LEAST_MICROGRAPHS:
        raise UserError(
            f"crf/type: tune needs {LEAST_MICROGRAPHS} validation micrographs with labels, not {len(micrographs)}; "
            "raise split/validation"
        )
    samples = list(read_samples(network, micrographs, classes=classes, uncertain=uncertain, tile_px=tile_px))
    if not labelled_channels(samples):
        raise UserError("crf/type: tune finds no labelled pixel in the validation micrographs; check their labels")
    tuned = tune_layer(samples, diameter_px=diameter_px)
    settings = tuned.settings if tuned.is_better else tuned.settings.changed(initial_weight=1.0)
    log.info(describe(tuned))
    return CrfNetwork(network, settings, len(classes)), tuning_rows(tuned)


def read_samples(
    network: nn.Module,
    micrographs: Iterable[LabelledMicrograph],
    *,
    classes: Sequence[str],
    uncertain: Uncertain,
    tile_px: int,
) -> Iterator[TuningSample]:
    """Yield logits, image and label of the middle of each micrograph; parameters as those of `tune`.

    Parameters
    ----------
    network : Module
        Trained network.
    micrographs : iterable of LabelledMicrograph
        Micrographs with labels.
    classes : sequence of str
        Names of the network's channels.
    uncertain : Uncertain
        Pixels that do not count.
    tile_px : int
        Largest side of the middle, in px.
    """
    for micrograph in micrographs:
        image = read_array(micrograph.images, "image", micrograph.name).data
        label = training_label(*read_label(micrograph, uncertain), classes)
        yield tuning_sample(network, image, label, tile_px=tile_px)


def tuning_sample(network: nn.Module, image: np.ndarray, label: np.ndarray, *, tile_px: int) -> TuningSample:
    """Return logits, image and label of the middle of a micrograph.

    Parameters
    ----------
    network : Module
        Trained network in evaluation mode.
    image : (h, w) float32 array
        Prepared micrograph.
    label : (h, w) uint8 array
        Channels of the network, with ignored pixels.
    tile_px : int
        Largest side of the middle, in px.
    """
    window = middle_window(image.shape, (tile_px, tile_px))
    tile = torch.from_numpy(np.ascontiguousarray(image[window]))[None, None]
    with torch.inference_mode():
        logits = padded_logits(network, tile).contiguous()
    return TuningSample(logits, tile, label[window])


def describe(tuned: Tuned) -> str:
    """Return the result of the search in words."""
    verdict = "the CRF is used" if tuned.is_better else f"below {LEAST_GAIN}: the CRF is off"
    gain = tuned.iou - tuned.control_iou
    return f"IoU with the CRF {tuned.iou:.4f}, with smoothing alone {tuned.control_iou:.4f}, gain {gain:.4f}; {verdict}"


def tuning_rows(tuned: Tuned) -> list[dict[str, str | float]]:
    """Return the rows control and crf of the table of a search."""
    shown: Sequence[str] = ("gamma_px", "smoothness", "unary_scale", "alpha_px", "beta", "appearance")
    settings: LayerSettings = tuned.settings
    return [
        {"kind": "control", "iou": tuned.control_iou, "smoothing_px": tuned.control_px},
        {"kind": "crf", "iou": tuned.iou, "smoothing_px": 0.0, **{key: getattr(settings, key) for key in shown}},
    ]
