import logging

import h5py
import numpy as np
import pytest
import torch

from crisp_core.classes import CLASSES, IGNORED
from crisp_core.errors import UserError
from crisp_core.segmentation.crops import Crops, Uncertain
from crisp_core.segmentation.inference import predict
from crisp_core.segmentation.loading import check_parts, crop_loader, epoch_batches
from crisp_core.segmentation.losses.total import make_loss
from crisp_core.segmentation.networks import build_network
from crisp_core.segmentation.resuming import Resume, forget_run, training_digest
from crisp_core.segmentation.settings import NetworkSettings, PredictionSettings
from crisp_core.segmentation.training import (
    fit,
    mixed_precision,
    start_run,
    train_epoch,
    validate,
)
from crisp_core.segmentation.training_settings import TrainingSettings

from .labelled import disc_micrographs, write_micrographs

TWO = ["background", "particle"]

SETTINGS = TrainingSettings(
    epochs=3,
    crops_per_micrograph=8,
    crops_per_step=4,
    crop_px=32,
    learning_rate=5e-3,
    averaging_decay=0.5,
    workers=0,
)
PREDICTION = PredictionSettings(tile_px=64, overlap_px=8)
NETWORK = NetworkSettings(encoder_weights=None, options={"encoder_depth": 3, "decoder_channels": [16, 8, 8]})


@pytest.fixture(autouse=True)
def one_thread():
    """Threads cost more than they bring on crops this small, a hundredfold on a busy machine."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


@pytest.fixture
def micrographs(tmp_path):
    return disc_micrographs(tmp_path)


def small_network(*, dropout=0.0):
    """Small network; dropout shows whether PyTorch's random draws are the same."""
    torch.manual_seed(0)
    network = build_network(NETWORK, 2)
    network.segmentation_head.insert(0, torch.nn.Dropout2d(dropout))
    return network


def train(micrographs, *, network=None, resume=None, **changes):
    return fit(
        network or small_network(),
        micrographs[:2],
        micrographs[2:],
        settings=SETTINGS.changed(**changes),
        prediction=PREDICTION,
        device="cpu",
        seed=3,
        resume=resume,
    )


def without_times(history):
    return [{key: value for key, value in row.items() if "seconds" not in key} for row in history]


def assert_same(mine, other):
    """Weights bit by bit and histories but for times are those of another training."""
    assert mine[0].keys() == other[0].keys()
    assert all(torch.equal(mine[0][name], other[0][name]) for name in mine[0])
    assert without_times(mine[1]) == without_times(other[1])


def test_parts_without_any_particle_are_refused_before_the_first_epoch(tmp_path, micrographs):
    (tmp_path / "bare").mkdir()
    bare = write_micrographs(tmp_path / "bare", {name: np.zeros((64, 80), np.uint8) for name in "xy"})
    check_parts([*bare, *micrographs], micrographs, Uncertain())
    with pytest.raises(
        UserError, match=r"no particle in the labels of the 2 micrographs of the part 'train' \(the first"
    ):
        check_parts(bare, micrographs, Uncertain())
    with pytest.raises(UserError, match="of the part 'validation'"):
        check_parts(micrographs, bare, Uncertain())


def test_a_band_that_leaves_no_particle_is_refused(micrographs):
    check_parts(micrographs, micrographs, Uncertain(band_angstrom=1.0))
    with pytest.raises(UserError, match=r"ignore_band_angstrom: 500 Å leave no pixel .* give less than the radius"):
        check_parts(micrographs, micrographs, Uncertain(band_angstrom=500.0))


def test_four_classes_train(micrographs):
    torch.manual_seed(0)
    network = build_network(NETWORK, 4)
    settings = SETTINGS.changed(epochs=1)
    parts = micrographs[:2], micrographs[2:]
    state, history = fit(
        network, *parts, settings=settings, prediction=PREDICTION, classes=CLASSES, device="cpu", seed=3
    )
    assert 0 < history[0]["train_loss"] < 10
    assert state["segmentation_head.0.bias"].shape == (4,)


@pytest.mark.slow
def test_training_learns_and_repeats_itself_exactly(micrographs):
    result = train(micrographs, epochs=6)
    _, history = result
    assert max(row["validation_iou"] for row in history) > 0.6
    assert history[-1]["train_loss"] < history[0]["train_loss"]
    assert_same(train(micrographs, epochs=6), result)


@pytest.mark.slow
def test_processes_that_read_crops_change_nothing(micrographs):
    assert_same(train(micrographs, workers=2), train(micrographs))


def test_the_best_epochs_weights_are_returned(micrographs):
    network = small_network()
    state, history = train(micrographs, network=network)
    network.load_state_dict(state)
    loss = make_loss(SETTINGS.loss)
    score = validate(network, micrographs[2:], loss, prediction=PREDICTION, classes=TWO, device="cpu")
    assert score.iou == pytest.approx(max(row["validation_iou"] for row in history), abs=1e-6)


def test_validation_pools_micrographs_of_which_unequal_parts_are_valid(micrographs):
    network = build_network(NETWORK, 2)
    with h5py.File(micrographs[2].images, "a") as images:
        images["valid/c"][:, :23] = False
    options = {"prediction": PREDICTION, "classes": TWO, "device": "cpu"}
    score = validate(network, micrographs[1:], make_loss(["cross_entropy"]), **options)
    both = either = 0
    for micrograph in micrographs[1:]:
        with h5py.File(micrograph.images) as images, h5py.File(micrograph.labels) as labels:
            image, valid = images[f"image/{micrograph.name}"][()], images[f"valid/{micrograph.name}"][()]
            label = labels[f"label/{micrograph.name}"][()]
        found = predict(network, image, device="cpu", **PREDICTION.plain())[1] > 0.5
        both += (found & (label == 1))[valid].sum()
        either += (found | (label == 1))[valid].sum()
    assert score.iou == pytest.approx(both / either, abs=1e-6)


def test_every_epoch_reports_its_times(micrographs, caplog):
    with caplog.at_level(logging.INFO, "crisp"):
        _, history = train(micrographs, epochs=2)
    columns = "epoch train_loss validation_loss validation_iou validation_f1 learning_rate seconds"
    assert list(history[0]) == [*columns.split(), "data_seconds", "compute_seconds", "validation_seconds"]
    for row in history:
        parts = [row[f"{part}_seconds"] for part in ("data", "compute", "validation")]
        assert min(parts) > 0
        assert sum(parts) == pytest.approx(row["seconds"])
    lines = [line for line in caplog.messages if "epoch" in line]
    assert [line.partition(":")[0] for line in lines] == ["epoch 1 of 2", "epoch 2 of 2"]


def test_a_part_without_micrographs_is_an_error_that_says_so(micrographs):
    with pytest.raises(UserError, match="no labelled micrograph in the part 'validation'"):
        train(micrographs[:2])


def test_any_crop_size_trains(micrographs):
    _, history = train(micrographs, epochs=1, crop_px=37, crops_per_step=3)
    assert history[0]["train_loss"] > 0


def test_a_loss_that_is_not_finite_says_so(micrographs):
    with pytest.raises(UserError, match=r"not finite .* lower training/learning_rate"):
        train(micrographs, epochs=1, learning_rate=1e30)


def test_every_epoch_takes_each_of_its_crops_once():
    batches = epoch_batches(range(3), 10, 4, seed=0)
    assert [len(batch) for batch in batches] == [4] * 6
    for epoch in range(3):
        items = batches[2 * epoch] + batches[2 * epoch + 1]
        assert len(set(items)) == 8 and min(items) >= 10 * epoch and max(items) < 10 * (epoch + 1)
    # an epoch's batches are the same for a training that starts with it
    assert epoch_batches(range(2, 3), 10, 4, seed=0) == batches[4:]


def test_patience_ends_a_training_that_gets_no_better(micrographs, caplog):
    # without a step worth the name, the IoU wanders
    with caplog.at_level(logging.INFO, "crisp"):
        _, history = train(micrographs, epochs=9, learning_rate=1e-30, patience=1)
    best = int(np.argmax([row["validation_iou"] for row in history])) + 1
    assert len(history) == best + 1 < 9
    assert f"no better IoU in 1 epochs: stops after epoch {best + 1}" in caplog.messages


def test_gradients_are_clipped_to_the_norm(micrographs):
    network = small_network()
    run = start_run(network, SETTINGS, n_steps=1)
    crops = Crops(micrographs, crop_px=32, n_items=4, classes=TWO, seed=1)
    loader = crop_loader(crops, [[0, 1, 2, 3]], workers=0, device="cpu")
    train_epoch(run, loader, make_loss(["dice"]), max_norm=1e-3, device="cpu")
    norm = torch.stack([p.grad.norm() for p in network.parameters() if p.grad is not None]).norm()
    assert norm.item() == pytest.approx(1e-3, rel=1e-3)


def test_uncertain_pixels_count_neither_in_training_nor_in_validation(micrographs):
    network = small_network().eval()
    options = {"prediction": PREDICTION, "classes": TWO, "device": "cpu"}
    with h5py.File(micrographs[2].labels) as labels:
        label = labels["label/c"][()]
    far = Uncertain(unlabelled_angstrom=14.0)
    by_distance = validate(network, micrographs[2:], make_loss(["cross_entropy"]), uncertain=far, **options)
    y, x = np.argwhere(label == 1).T
    distance = np.hypot(np.arange(64)[:, None, None] - y, np.arange(80)[None, :, None] - x).min(axis=-1)
    with h5py.File(micrographs[2].images, "a") as images:
        images["valid/c"][...] = images["valid/c"][()] & (distance * 7.0 <= 14.0)
    by_mask = validate(network, micrographs[2:], make_loss(["cross_entropy"]), **options)
    assert by_distance == pytest.approx(by_mask, abs=1e-6)
    crops = Crops(micrographs[:1], crop_px=100, n_items=1, uncertain=far, classes=TWO, seed=0)
    assert set(np.unique(crops[0][1])) == {0, 1, IGNORED}


def test_a_cpu_never_computes_in_bfloat16():
    with mixed_precision("cpu", wanted=True):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


@pytest.mark.gpu
def test_a_gpu_trains_as_a_cpu_does(micrographs):
    settings = SETTINGS.changed(epochs=6, workers=None)
    parts = micrographs[:2], micrographs[2:]
    _, history = fit(small_network(), *parts, settings=settings, prediction=PREDICTION, device="cuda", seed=3)
    assert max(row["validation_iou"] for row in history) > 0.6


class Killed(Exception):
    pass


def kill_at_forward(network, number):
    """Let the network's forward pass of that number end the training, as a signal would."""
    passed = []

    def count(*_):
        passed.append(1)
        if len(passed) == number:
            raise Killed

    network.register_forward_pre_hook(count)
    return network


@pytest.fixture
def resume(tmp_path):
    return Resume(tmp_path / "training/last.pt", "digest")


@pytest.mark.slow
# an epoch is four steps and one pass of validation
@pytest.mark.parametrize("forward", [7, 10, 12])
def test_a_killed_training_ends_as_an_undisturbed_one(micrographs, resume, forward, caplog):
    undisturbed = train(micrographs, network=small_network(dropout=0.3))
    with pytest.raises(Killed):
        train(micrographs, network=kill_at_forward(small_network(dropout=0.3), forward), resume=resume)
    torch.manual_seed(99)
    with caplog.at_level(logging.INFO, "crisp"):
        resumed = train(micrographs, network=small_network(dropout=0.3), resume=resume)
    assert any("training continues after epoch" in line for line in caplog.messages)
    assert_same(resumed, undisturbed)


def test_a_training_that_was_killed_after_its_last_epoch_only_returns(micrographs, resume):
    result = train(micrographs, resume=resume)
    network = kill_at_forward(small_network(), 1)
    if torch.load(resume.path, weights_only=True)["history"][-1]["epoch"] == 3:
        assert_same(train(micrographs, network=network, resume=resume), result)
    forget_run(resume)
    assert not resume.path.parent.exists()


def test_another_training_or_a_damaged_file_starts_afresh(micrographs, resume, caplog):
    undisturbed = train(micrographs, epochs=1)
    train(micrographs, resume=resume, epochs=2)
    with caplog.at_level(logging.INFO, "crisp"):
        other = train(micrographs, resume=resume._replace(digest="other"), epochs=1)
    assert_same(other, undisturbed)
    assert any(
        "with other settings, files or code: training starts again from epoch 1" in line for line in caplog.messages
    )
    resume.path.write_bytes(b"PK\x03\x04 and no more")
    with caplog.at_level(logging.INFO, "crisp"):
        again = train(micrographs, resume=resume, epochs=1)
    assert_same(again, undisturbed)
    assert any("cannot be read: training starts again from epoch 1" in line for line in caplog.messages)


def test_the_digest_follows_settings_parts_and_files(micrographs):
    parts = {"train": micrographs[:2], "validation": micrographs[2:]}
    digest = training_digest(parts, {"seed": 1})
    assert training_digest(parts, {"seed": 1}) == digest
    changed = {
        training_digest(parts, {"seed": 2}),
        training_digest({"train": micrographs[2:], "validation": micrographs[:2]}, {"seed": 1}),
    }
    with h5py.File(micrographs[0].labels, "a") as labels:
        labels["label/a"].attrs["note"] = "changed"
    changed.add(training_digest(parts, {"seed": 1}))
    assert len(changed) == 3 and digest not in changed
