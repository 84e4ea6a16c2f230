from math import log

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score, jaccard_score, log_loss

from crisp_core.classes import IGNORED
from crisp_core.errors import UserError
from crisp_core.segmentation.losses import LOSSES
from crisp_core.segmentation.losses.total import make_loss


@pytest.fixture
def example():
    rng = np.random.default_rng(0)
    logits = torch.from_numpy(rng.normal(size=(2, 2, 9, 11))).float()
    labels = torch.from_numpy(rng.integers(0, 2, (2, 9, 11)).astype(np.uint8))
    labels[:, :2] = IGNORED
    return logits, labels


@pytest.mark.parametrize("name", LOSSES)
def test_ignored_pixels_change_nothing(name, example):
    logits, labels = example
    loss = make_loss([name])
    changed = logits.clone()
    changed[:, :, :2] = 50.0
    assert loss(changed, labels).item() == loss(logits, labels).item()


@pytest.mark.parametrize("name", LOSSES)
def test_certain_and_right_is_near_zero_and_certain_and_wrong_is_not(name, example):
    _, labels = example
    right = torch.stack([labels == 0, labels == 1], dim=1) * 60.0 - 30.0
    loss = make_loss([name])
    assert loss(right, labels).item() < 1e-3
    assert loss(-right, labels).item() > 0.9


def test_losses_of_hard_predictions_equal_those_of_scikit_learn(example):
    logits, labels = example
    hard = (torch.stack([logits[:, 0] > logits[:, 1], logits[:, 0] <= logits[:, 1]], dim=1) * 200.0) - 100.0
    valid = (labels != IGNORED).numpy()
    truth, predicted = labels.numpy()[valid], hard.argmax(1).numpy()[valid]
    dice = make_loss(["dice"])(hard, labels).item()
    jaccard = make_loss(["jaccard"])(hard, labels).item()
    assert dice == pytest.approx(1 - f1_score(truth, predicted, average="macro"), abs=1e-5)
    assert jaccard == pytest.approx(1 - jaccard_score(truth, predicted, average="macro"), abs=1e-5)


def test_cross_entropy_equals_scikit_learn_and_losses_add(example):
    logits, labels = example
    valid = (labels != IGNORED).numpy()
    probability = logits.softmax(1)[:, 1].numpy()[valid]
    expected = log_loss(labels.numpy()[valid], probability)
    alone = make_loss(["cross_entropy"])(logits, labels).item()
    assert alone == pytest.approx(expected, rel=1e-5)
    both = make_loss(["cross_entropy", "dice"])(logits, labels).item()
    assert both == pytest.approx(alone + make_loss(["dice"])(logits, labels).item(), rel=1e-5)


def test_gradients_are_finite_where_no_pixel_is_a_particle():
    logits = torch.zeros(1, 2, 8, 8, requires_grad=True)
    labels = torch.zeros(1, 8, 8, dtype=torch.uint8)
    make_loss(list(LOSSES))(logits, labels).backward()
    assert torch.isfinite(logits.grad).all()


# two classes: probabilities of the particle, and labels; then four classes: probabilities by pixel, none of class 2
PARTICLE = [0.8, 0.6, 0.3, 0.1]
TWO = [[1 - p for p in PARTICLE], PARTICLE], [1, 0, 1, 0]
FOUR = (
    [[0.7, 0.1, 0.25, 0.1], [0.1, 0.6, 0.25, 0.1], [0.1, 0.2, 0.25, 0.2], [0.1, 0.1, 0.25, 0.6]],
    [0, 1, 1, 3],
)
ENTROPY = {
    2: -(log(0.8) + log(0.4) + log(0.3) + log(0.9)) / 4,
    4: -(log(0.7) + log(0.6) + log(0.25) + log(0.6)) / 4,
}
# mean over the pixels of −Σ log p over the labels
SPREAD = {
    2: -sum(log(p) + log(1 - p) for p in PARTICLE) / 4,
    4: -(7 * log(0.1) + log(0.7) + 2 * log(0.6) + 2 * log(0.2) + 4 * log(0.25)) / 4,
}
# overlaps: soft counts of each label that occurs, (TP, FP, FN) = (1.3, 0.9, 0.7) and (1.1, 0.7, 0.9) of two,
# (0.7, 0.45, 0.3), (0.85, 0.2, 1.15) and (0.6, 0.45, 0.4) of four, where the fourth adds 0 to the mean
BY_HAND = {
    ("dice", 2): (2 - 2.6 / 4.2 - 2.2 / 3.8) / 2,
    ("dice", 4): (3 - 1.4 / 2.15 - 1.7 / 3.05 - 1.2 / 2.05) / 4,
    ("jaccard", 2): (2 - 1.3 / 2.9 - 1.1 / 2.7) / 2,
    ("jaccard", 4): (3 - 0.7 / 1.45 - 0.85 / 2.2 - 0.6 / 1.45) / 4,
    # 0.3 FP + 0.7 FN
    ("tversky", 2): (2 - 1.3 / 2.06 - 1.1 / 1.94) / 2,
    ("tversky", 4): (3 - 0.7 / 1.045 - 0.85 / 1.715 - 0.6 / 1.015) / 4,
    # errors from the largest on, times what each adds to the Jaccard loss
    ("lovasz", 2): (
        (0.7 * (1 / 3) + 0.6 * (1 / 3) + 0.2 * (1 / 12) + 0.1 * (1 / 4)) + (0.7 * 0.5 + 0.6 * (1 / 6) + 0.2 * (1 / 3))
    )
    / 2,
    ("lovasz", 4): (0.3 + (0.75 * 0.5 + 0.4 * 0.5) + 0.4) / 3,
    ("cross_entropy", 2): ENTROPY[2],
    ("cross_entropy", 4): ENTROPY[4],
}


def of_pixels(loss, probabilities, labels):
    """Value for a row of pixels, with one more that does not count."""
    logits = torch.tensor(probabilities).log()[None, :, None, :]
    logits = torch.cat([logits, torch.full_like(logits[..., :1], 7.0)], dim=-1)
    return loss(logits, torch.tensor([[[*labels, IGNORED]]], dtype=torch.uint8)).item()


@pytest.mark.parametrize(("name", "n_classes"), BY_HAND)
def test_a_loss_is_what_a_hand_computes(name, n_classes):
    assert of_pixels(make_loss([name]), *{2: TWO, 4: FOUR}[n_classes]) == pytest.approx(
        BY_HAND[name, n_classes], abs=2e-6
    )


@pytest.mark.parametrize("example", [TWO, FOUR])
@pytest.mark.parametrize("name", LOSSES)
def test_the_order_of_the_pixels_changes_no_loss_and_a_better_prediction_lowers_it(name, example):
    loss, (probabilities, labels) = make_loss([name]), example
    value = of_pixels(loss, probabilities, labels)
    turned = [row[::-1] for row in probabilities]
    assert of_pixels(loss, turned, labels[::-1]) == pytest.approx(value, abs=1e-6)
    better = [
        [(p + (label == row)) / 2 for p, label in zip(of_row, labels, strict=True)]
        for row, of_row in enumerate(probabilities)
    ]
    assert of_pixels(loss, better, labels) < value


@pytest.mark.parametrize(("n_classes", "example"), [(2, TWO), (4, FOUR)])
def test_options_and_weights(n_classes, example):
    smooth = make_loss([{"name": "cross_entropy", "label_smoothing": 0.1}])
    smoothed = 0.9 * ENTROPY[n_classes] + 0.1 * SPREAD[n_classes] / n_classes
    assert of_pixels(smooth, *example) == pytest.approx(smoothed, rel=1e-5)
    tversky = make_loss([{"name": "tversky", "alpha": 1, "beta": 1}])
    assert of_pixels(tversky, *example) == pytest.approx(BY_HAND["jaccard", n_classes], rel=1e-5)
    summed = make_loss([{"name": "tversky", "weight": 0.5, "alpha": 0.5, "beta": 0.5}, "lovasz"])
    expected = 0.5 * BY_HAND["dice", n_classes] + BY_HAND["lovasz", n_classes]
    assert of_pixels(summed, *example) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("term", "message"),
    [
        ("unheard-of", f": 'unheard-of' is not known; use one of {', '.join(LOSSES)}"),
        ({"name": "dice", "alpha": 1}, "/dice: unknown key 'alpha'; known are name, weight"),
        ({"name": "tversky", "gamma": 1}, "/tversky: unknown key 'gamma'; known are alpha, beta, name, weight"),
        (
            {"name": "tversky", "alpha": -1},
            "/tversky/alpha: -1 is less than the minimum; give at least 0 (weight of false positives)",
        ),
    ],
)
def test_a_wrong_loss_or_option_is_refused_in_one_line(term, message):
    with pytest.raises(UserError) as caught:
        make_loss([term])
    assert str(caught.value) == f"training/loss{message}"


def test_without_a_pixel_that_counts_the_loss_is_zero():
    logits = torch.randn(1, 2, 4, 4, requires_grad=True)
    loss = make_loss(list(LOSSES))(logits, torch.full((1, 4, 4), IGNORED, dtype=torch.uint8))
    loss.backward()
    assert loss.item() == 0 and (logits.grad == 0).all()
