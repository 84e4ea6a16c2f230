import h5py
import numpy as np
import pytest
import torch

from crisp_core.classes import IGNORED
from crisp_core.formats.arrays import write_array
from crisp_core.segmentation.crops import Crops, LabelledMicrograph
from crisp_core.segmentation.losses import LOSSES
from crisp_core.segmentation.losses.total import make_loss
from crisp_core.segmentation.pixel_weights import counted_pixels, weighted_label
from crisp_core.segmentation.transfer import joined_with_background

FOUR = ["background", "particle", "contaminant", "carbon"]


def random_case(n_classes=2):
    rng = np.random.default_rng(1)
    logits = torch.from_numpy(rng.normal(size=(1, n_classes, 6, 8)).astype(np.float32))
    return logits, rng.integers(0, n_classes, (6, 8)).astype(np.uint8), rng.integers(0, 4, (6, 8)).astype(np.uint8)


@pytest.mark.parametrize("name", LOSSES)
def test_a_pixel_of_weight_three_counts_like_three_pixels(name):
    logits, label, weight = random_case()
    found = make_loss([name])(logits, torch.from_numpy(weighted_label(label, weight))[None])
    # the same pixels, each written out as often as it counts, in one row
    times = weight.ravel()
    row = logits.reshape(1, 2, 1, -1)[..., np.repeat(np.arange(48), times)]
    wanted = make_loss([name])(row, torch.from_numpy(np.repeat(label.ravel(), times))[None, None])
    assert found.item() == pytest.approx(wanted.item(), rel=1e-5)


def test_labels_without_weights_stay_as_they_are():
    _, label, _ = random_case()
    assert weighted_label(label, None) is label
    assert (weighted_label(label, np.ones_like(label)) == label).all()


def test_a_class_that_is_joined_with_background_is_background():
    """Brushed junk teaches a network of four classes that it is no particle."""
    logits, label, weight = random_case(4)
    loss = joined_with_background(make_loss(["cross_entropy"]), FOUR, FOUR[2:])
    found = loss(logits, torch.from_numpy(weighted_label(label, weight))[None])
    two = torch.stack([logits[:, [0, 2, 3]].logsumexp(dim=1), logits[:, 1]], dim=1)
    expected = weighted_label((label == 1).astype(np.uint8), weight)
    assert found.item() == pytest.approx(make_loss(["cross_entropy"])(two, torch.from_numpy(expected)[None]).item())


def test_crops_and_scores_leave_out_what_does_not_count(tmp_path):
    path, (_, label, weight) = tmp_path / "arrays.h5", random_case()
    arrays = {"image": np.ones((6, 8), np.float32), "valid": np.ones((6, 8), bool), "label": label, "weight": weight}
    with h5py.File(path, "w") as output:
        for kind, array in arrays.items():
            write_array(output, kind, "mic", array, pixel_size=1, full_shape=(6, 8))
    micrograph = LabelledMicrograph("mic", str(path), str(path))
    crops = Crops([micrograph], crop_px=32, n_items=1, classes=FOUR[:2], seed=1)
    _, target = crops[0]
    counted = target[target != IGNORED]
    assert sorted(counted // 16 + 1) == sorted(weight[weight > 0])
    assert (counted_pixels(path, path, "mic") == (weight > 0)).all()
