import numpy as np
import pytest
import scipy.ndimage
import torch

from crisp_core.classes import IGNORED
from crisp_core.segmentation.crf import tuning
from crisp_core.segmentation.crf.tuning import (
    THRESHOLDS,
    TuningSample,
    background_sd,
    count_thresholds,
    labelled_channels,
    left_out_iou,
    smoothed_probabilities,
    tune_layer,
)


def samples(n=3, *, noise=2.0, side=48):
    """Discs whose logits have white noise, in an image that does not show them."""
    made = []
    for seed in range(n):
        rng = np.random.default_rng(seed)
        y, x = np.indices((side, side))
        label = np.zeros((side, side), np.uint8)
        for cy, cx in rng.uniform(8, side - 8, (4, 2)):
            label[np.hypot(y - cy, x - cx) < 7] = 1
        odds = (2.0 * label - 1 + noise * rng.normal(size=label.shape)).astype(np.float32)
        logits = torch.from_numpy(np.stack([-odds / 2, odds / 2]))[None]
        label[:, :3] = IGNORED
        made.append(TuningSample(logits, torch.from_numpy(rng.normal(size=(1, 1, side, side))).float(), label))
    return made


def test_counts_are_those_of_the_pixels_above_each_threshold():
    one = samples(1)
    counts = count_thresholds(one, [1], [smoothed_probabilities(0.0), smoothed_probabilities(1.5)])
    plain = one[0].logits.softmax(1)[0, 1].numpy()
    row = scipy.ndimage.gaussian_filter(plain, 1.5, mode="constant", truncate=4)
    row /= scipy.ndimage.gaussian_filter(np.ones_like(plain), 1.5, mode="constant", truncate=4)
    valid, particle = one[0].label != IGNORED, one[0].label == 1
    for candidate, probability in enumerate((plain, row)):
        for t in (3, 24, 40):
            inside = probability >= THRESHOLDS[t]
            expected = (inside & particle).sum(), ((inside | particle) & valid).sum()
            np.testing.assert_allclose(counts[candidate, 0, 0, t], expected, atol=2)


def test_a_micrograph_does_not_choose_its_own_settings():
    counts = np.ones((2, 3, 1, 1, 2)) * 100
    # the first candidate is best on micrograph 0 alone, the second on the two others
    counts[0, :, 0, 0, 0], counts[1, :, 0, 0, 0] = (90, 10, 10), (20, 50, 60)
    assert left_out_iou(counts) == pytest.approx((20 + 10 + 10) / 300)


def test_neighbours_help_on_noisy_logits_and_the_control_smooths_too():
    made = samples()
    tuned = tune_layer(made, diameter_px=14.0)
    alone = left_out_iou(count_thresholds(made, [1], [smoothed_probabilities(0.0)]))
    assert tuned.iou > alone + 0.05 and tuned.control_iou > alone + 0.05
    assert tuned.settings.solver == "mean_field" and tuned.control_px > 0
    assert tuned.is_better == (tuned.iou >= tuned.control_iou + tuning.LEAST_GAIN)


def test_classes_and_noise_are_those_of_the_labels():
    made = samples()
    assert labelled_channels(made) == [1]
    pixels = np.concatenate([one.image[0, 0].numpy()[one.label == 0] for one in made])
    assert background_sd(made, 0.0) == pytest.approx(pixels.std())
