import h5py
import numpy as np
import pytest
import torch

from crisp_core.arrays import write_array
from crisp_core.errors import UserError
from crisp_core.losses import IGNORED, make_loss
from crisp_core.networks import build_network
from crisp_core.training import Crops, LabelledMicrograph, fit, validate

SETTINGS = {
    "loss": ["dice", "cross_entropy"],
    "epochs": 3,
    "crops_per_micrograph": 8,
    "crops_per_step": 4,
    "crop_px": 32,
    "learning_rate": 5e-3,
    "weight_decay": 0.01,
    "contrast_jitter": 0.1,
    "averaging_decay": 0.5,
    "workers": 0,
}
PREDICTION = {"tile_px": 64, "overlap_px": 8}
NETWORK = {
    "architecture": "unetplusplus",
    "encoder": "tu-resnet10t",
    "encoder_weights": None,
    "options": {"encoder_depth": 3, "decoder_channels": [16, 8, 8]},
}


@pytest.fixture(autouse=True)
def one_thread():
    """Threads cost more than they bring on crops this small, a hundredfold on a busy machine."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


@pytest.fixture
def micrographs(tmp_path):
    """Dark discs in noise, with the label where they are dark, and a masked margin."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:64, :80]
    with h5py.File(tmp_path / "images.h5", "w") as images, h5py.File(tmp_path / "labels.h5", "w") as labels:
        for name in ("a", "b", "c"):
            label = np.zeros((64, 80), np.uint8)
            for cy, cx in rng.uniform(8, 56, (6, 2)):
                label |= (np.hypot(y - cy, x - cx) < 6).astype(np.uint8)
            valid = np.ones((64, 80), bool)
            valid[:, 72:] = False
            image = (rng.normal(size=label.shape) * 0.5 - 2 * label).astype(np.float32)
            grid = {"pixel_size": 7.0, "full_shape": (64, 80)}
            write_array(images, "image", name, image, **grid)
            write_array(images, "valid", name, valid, **grid)
            write_array(labels, "label", name, label, **grid)
    return [LabelledMicrograph(name, str(tmp_path / "images.h5"), str(tmp_path / "labels.h5")) for name in "abc"]


def train(micrographs, **changes):
    torch.manual_seed(0)
    network = build_network(NETWORK, 2)
    return fit(
        network,
        micrographs[:2],
        micrographs[2:],
        settings=SETTINGS | changes,
        prediction=PREDICTION,
        device="cpu",
        seed=3,
    )


def test_a_crop_depends_on_its_number_alone(micrographs):
    options = {"crop_px": 32, "n_items": 20, "contrast_jitter": 0.1, "n_classes": 2, "seed": 1}
    crops, again = Crops(micrographs, **options), Crops(micrographs, **options)
    crops[3]
    for mine, other in zip(crops[7], again[7], strict=True):
        np.testing.assert_array_equal(mine, other)
    assert not np.array_equal(crops[7][0], crops[10][0])


def test_image_and_label_turn_together_and_the_margin_is_ignored(micrographs):
    crops = Crops(micrographs, crop_px=32, n_items=40, contrast_jitter=0.0, n_classes=2, seed=1)
    seen = set()
    for image, label in (crops[i] for i in range(40)):
        assert image.shape == (1, 32, 32) and label.shape == (32, 32)
        seen |= set(np.unique(label))
        if (label == 1).sum() > 20:
            assert image[0][label == 1].mean() < image[0][label == 0].mean() - 1.5
    assert seen == {0, 1, IGNORED}


def test_a_micrograph_smaller_than_the_crop_is_continued_with_ignored_pixels(micrographs):
    image, label = Crops(micrographs, crop_px=100, n_items=1, contrast_jitter=0.0, n_classes=2, seed=1)[0]
    assert image.shape == (1, 100, 100)
    assert (label != IGNORED).sum() == 64 * 72


def test_four_classes_train_and_two_take_the_others_for_background(micrographs):
    with h5py.File(micrographs[0].labels, "a") as labels:
        for name in "abc":
            labels[f"label/{name}"][:, :6] = 2
            labels[f"label/{name}"][:4] = 3
    options = {"crop_px": 100, "n_items": 3, "contrast_jitter": 0.0, "seed": 1}
    assert set(np.unique(Crops(micrographs, n_classes=2, **options)[0][1])) <= {0, 1, IGNORED}
    assert set(np.unique(Crops(micrographs, n_classes=4, **options)[0][1])) >= {0, 1, 2, 3}
    torch.manual_seed(0)
    network = build_network(NETWORK, 4)
    settings = SETTINGS | {"epochs": 1}
    parts = micrographs[:2], micrographs[2:]
    state, history = fit(network, *parts, settings=settings, prediction=PREDICTION, n_classes=4, device="cpu", seed=3)
    assert 0 < history[0]["train_loss"] < 10
    assert state["segmentation_head.0.bias"].shape == (4,)


def test_training_learns_and_repeats_itself_exactly(micrographs):
    state, history = train(micrographs, epochs=6)
    again, repeated = train(micrographs, epochs=6)
    assert max(row["validation_iou"] for row in history) > 0.6
    assert history[-1]["train_loss"] < history[0]["train_loss"]
    assert all(torch.equal(state[name], again[name]) for name in state)
    assert [row["validation_loss"] for row in history] == [row["validation_loss"] for row in repeated]


def test_the_best_epochs_weights_are_returned(micrographs):
    state, history = train(micrographs, epochs=3)
    network = build_network(NETWORK, 2)
    network.load_state_dict(state)
    loss = make_loss(SETTINGS["loss"])
    score = validate(network, micrographs[2:], loss, prediction=PREDICTION, n_classes=2, device="cpu")
    assert score.iou == pytest.approx(max(row["validation_iou"] for row in history), abs=1e-6)


def test_a_part_without_micrographs_is_an_error_that_says_so(micrographs):
    torch.manual_seed(0)
    network = build_network(NETWORK, 2)
    with pytest.raises(UserError, match="no labelled micrograph in the part 'validation'"):
        fit(network, micrographs, [], settings=SETTINGS, prediction=PREDICTION, device="cpu", seed=0)


def test_any_crop_size_trains(micrographs):
    _, history = train(micrographs, epochs=1, crop_px=37, crops_per_step=3)
    assert history[0]["train_loss"] > 0


def test_a_loss_that_is_not_finite_says_so(micrographs):
    with pytest.raises(UserError, match=r"not finite .* lower training/learning_rate"):
        train(micrographs, epochs=1, learning_rate=1e30)
