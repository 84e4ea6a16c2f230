"""Choice of a CRF behind a trained network without training: a search over fixed settings, beside a control.

Every candidate is scored by leaving one micrograph out: its settings and thresholds are those with the highest IoU on
the other micrographs, and count on the one left out. The control smooths the probabilities by a Gaussian, and chooses
its width and its thresholds in the same way.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
import torch

from crisp_core.classes import IGNORED
from crisp_core.segmentation.crf.kernels import gaussian_kernel, normalized_filter
from crisp_core.segmentation.crf.layer import CrfLayer, low_pass_images
from crisp_core.segmentation.crf.settings import LayerSettings

# γ in px, weight of the smoothness kernel, and factor of the logits.
GAMMAS_PX, WEIGHTS, UNARY_SCALES = (1.0, 2.0, 4.0), (0.5, 1.0, 2.0, 4.0), (0.1, 0.3, 1.0)
# Appearance kernel: α in diameters, β in standard deviations of the background, weight.
ALPHAS_DIAMETERS, BETAS, APPEARANCES = (0.5, 1.0), (1.0, 2.0), (0.5, 2.0)
LOWPASS_DIAMETERS = 0.08
# Control: standard deviation of the Gaussian on the probabilities, px.
SMOOTHINGS_PX = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0)
THRESHOLDS = np.arange(0.02, 0.99, 0.02)
# Smallest gain of IoU over the control for which the CRF is taken.
LEAST_GAIN = 0.003


class TuningSample(NamedTuple):
    """Part of a validation micrograph."""

    logits: torch.Tensor
    """(1, l, h, w) of the network."""
    image: torch.Tensor
    """(1, 1, h, w) prepared micrograph."""
    label: np.ndarray
    """(h, w) channels of the network, with `IGNORED` pixels."""


class Tuned(NamedTuple):
    """Result of the search; IoU is that of the micrographs left out, mean over the classes."""

    settings: LayerSettings
    """Best candidate on all micrographs."""
    iou: float
    control_px: float
    """Width of the control's Gaussian that is best on all micrographs, px."""
    control_iou: float

    @property
    def is_better(self) -> bool:
        """Whether the CRF is better than the control by at least `LEAST_GAIN`."""
        return self.iou >= self.control_iou + LEAST_GAIN


def tune_layer(samples: Sequence[TuningSample], *, diameter_px: float) -> Tuned:
    """Search the settings of a CRF with mean field, and those of its control.

    Parameters
    ----------
    samples : sequence of TuningSample
        Parts of two or more micrographs.
    diameter_px : float
        Diameter of the particle, px.
    """
    classes = labelled_channels(samples)
    tried = candidate_settings(diameter_px, background_sd(samples, LOWPASS_DIAMETERS * diameter_px))
    with torch.inference_mode():
        of_crf = count_thresholds(samples, classes, [crf_probabilities(each) for each in tried])
        of_control = count_thresholds(samples, classes, [smoothed_probabilities(px) for px in SMOOTHINGS_PX])
    return Tuned(
        tried[best_candidate(of_crf)],
        left_out_iou(of_crf),
        SMOOTHINGS_PX[best_candidate(of_control)],
        left_out_iou(of_control),
    )


def labelled_channels(samples: Iterable[TuningSample]) -> list[int]:
    """Return the channels, without background, that the labels of the samples contain."""
    found = np.unique(np.concatenate([np.unique(sample.label) for sample in samples]))
    return [int(channel) for channel in found if channel not in (0, IGNORED)]


def background_sd(samples: Iterable[TuningSample], lowpass_px: float) -> float:
    """Return the standard deviation of the low-passed background, over all samples.

    Parameters
    ----------
    samples : iterable of TuningSample
        Parts of micrographs.
    lowpass_px : float
        Standard deviation of the low pass, px.
    """
    low = [low_pass_images(sample.image, lowpass_px)[0, 0].numpy()[sample.label == 0] for sample in samples]
    return float(np.concatenate(low).std()) or 1.0


def candidate_settings(diameter_px: float, noise_sd: float) -> list[LayerSettings]:
    """Return the settings to try: the smoothness kernel alone, then with the appearance kernel on intensities.

    Parameters
    ----------
    diameter_px : float
        Diameter of the particle, px.
    noise_sd : float
        Unit of β, see `background_sd`.
    """
    base = LayerSettings(
        solver="mean_field",
        features="intensity",
        normalization="row",
        initial_weight=0.0,
        appearance=0.0,
        learn_kernel=False,
        lowpass_px=LOWPASS_DIAMETERS * diameter_px,
    )
    alone = [
        base.changed(gamma_px=gamma, smoothness=weight, unary_scale=scale)
        for gamma, weight, scale in product(GAMMAS_PX, WEIGHTS, UNARY_SCALES)
    ]
    middle = base.changed(gamma_px=GAMMAS_PX[1], smoothness=WEIGHTS[1])
    both = [
        middle.changed(unary_scale=scale, alpha_px=alpha * diameter_px, beta=beta * noise_sd, appearance=weight)
        for scale, alpha, beta, weight in product(UNARY_SCALES, ALPHAS_DIAMETERS, BETAS, APPEARANCES)
    ]
    return alone + both


def crf_probabilities(settings: LayerSettings) -> Callable[[TuningSample], np.ndarray]:
    """Return a function from a sample to the probabilities (l, h, w) with a CRF."""

    def probabilities(sample: TuningSample) -> np.ndarray:
        layer = CrfLayer(settings, sample.logits.shape[1])
        return layer(sample.logits, sample.image).softmax(1)[0].numpy()

    return probabilities


def smoothed_probabilities(sigma_px: float) -> Callable[[TuningSample], np.ndarray]:
    """Return a function from a sample to the probabilities (l, h, w) smoothed by a Gaussian."""

    def probabilities(sample: TuningSample) -> np.ndarray:
        plain = sample.logits.softmax(1)
        if not sigma_px:
            return plain[0].numpy()
        return normalized_filter(gaussian_kernel(sigma_px), plain[:1], "row").apply(plain)[0].numpy()

    return probabilities


def count_thresholds(
    samples: Sequence[TuningSample],
    classes: Sequence[int],
    candidates: Sequence[Callable[[TuningSample], np.ndarray]],
) -> np.ndarray:
    """Count the pixels in the intersection and in the union of label and map: (candidate, sample, class, threshold, 2).

    Parameters
    ----------
    samples : sequence of TuningSample
        Parts of micrographs.
    classes : sequence of int
        Channels that are scored.
    candidates : sequence of callables
        Functions from a sample to probabilities (l, h, w).
    """
    return np.array([[_counts(sample, candidate(sample), classes) for sample in samples] for candidate in candidates])


def _counts(sample: TuningSample, probabilities: np.ndarray, classes: Sequence[int]) -> list[np.ndarray]:
    """Return intersection and union at every threshold, (threshold, 2) for each class."""
    valid, rows = sample.label != IGNORED, []
    for channel in classes:
        above = np.searchsorted(THRESHOLDS, probabilities[channel][valid], side="right")
        inside = sample.label[valid] == channel
        in_map, both = (
            np.bincount(which, minlength=len(THRESHOLDS) + 1)[::-1].cumsum()[::-1][1:]
            for which in (above, above[inside])
        )
        rows.append(np.column_stack([both, in_map + inside.sum() - both]))
    return rows


def best_ious(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return best IoU and its threshold of each candidate and class, from counts (candidate, class, threshold, 2)."""
    ious = counts[..., 0] / np.maximum(counts[..., 1], 1)
    return ious.max(axis=-1), ious.argmax(axis=-1)


def best_candidate(counts: np.ndarray) -> int:
    """Return the candidate with the highest mean IoU over the classes, all samples together."""
    return int(best_ious(counts.sum(axis=1))[0].mean(axis=-1).argmax())


def left_out_iou(counts: np.ndarray) -> float:
    """Return the mean IoU over the classes of samples that did not choose candidate and thresholds.

    Parameters
    ----------
    counts : (candidate, sample, class, threshold, 2) array
        Result of `count_thresholds` of two or more samples.
    """
    total, pooled = counts.sum(axis=1), np.zeros((counts.shape[2], 2))
    for left_out in range(counts.shape[1]):
        ious, thresholds = best_ious(total - counts[:, left_out])
        chosen = int(ious.mean(axis=-1).argmax())
        pooled += counts[chosen, left_out, np.arange(counts.shape[2]), thresholds[chosen]]
    return float((pooled[:, 0] / np.maximum(pooled[:, 1], 1)).mean())
