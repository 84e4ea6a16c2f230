import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score, jaccard_score, log_loss

from crisp_core.losses import IGNORED, LOSSES, make_loss


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
