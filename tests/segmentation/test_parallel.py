"""Data-parallel training: two processes by torchrun, with gloo on the CPU."""

import json
import os
import subprocess
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from crisp_core.segmentation.parallel import end_other_workers, own_share, start_worker, torchrun
from crisp_core.segmentation.settings import PredictionSettings
from crisp_core.segmentation.training import fit
from crisp_core.segmentation.training_settings import TrainingSettings

from .labelled import disc_micrographs

ROOT = Path(__file__).parents[2]
SETTINGS = TrainingSettings(
    loss=["cross_entropy"],
    epochs=2,
    crops_per_micrograph=8,
    crops_per_step=4,
    crop_px=32,
    learning_rate=5e-3,
    averaging_decay=0.5,
    workers=0,
)
PREDICTION = PredictionSettings(tile_px=64, overlap_px=8)


class Stride:
    output_stride = 1


def plain_network():
    """Network without batch normalisation, whose statistics gloo does not share."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 8, 5, padding=2), nn.ReLU(), nn.Conv2d(8, 2, 3, padding=1))
    network.encoder = Stride()
    return network


def work(folder):
    """Train as one of the processes; the first writes its history and the sum of its weights."""
    device = start_worker(threads=1, gpus=0)
    folder = Path(folder)
    micrographs = disc_micrographs(folder / os.environ.get("RANK", "alone"))
    state, history = fit(
        plain_network(),
        *(micrographs[:2], micrographs[2:]),
        settings=SETTINGS,
        prediction=PREDICTION,
        device=device,
        seed=3,
    )
    end_other_workers()
    rows = [{key: value for key, value in row.items() if "seconds" not in key} for row in history]
    return json.dumps([rows, [float(weights.sum()) for weights in state.values()]])


@pytest.mark.slow
def test_two_processes_train_as_one(tmp_path):
    for name in ("0", "1", "alone"):
        (tmp_path / name).mkdir()
    script = tmp_path / "work.py"
    script.write_text(f"from tests.segmentation.test_parallel import work\nprint(work({str(tmp_path)!r}))\n")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(torchrun(2, str(script)), env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("["))
    (mine, my_weights), (theirs, their_weights) = json.loads(work(tmp_path)), json.loads(line)
    # crops have unequal numbers of valid pixels, and a mean over each half is no mean over all
    assert my_weights == pytest.approx(their_weights, rel=0.01, abs=0.01)
    assert mine[-1]["train_loss"] < 0.9 * mine[0]["train_loss"]
    for one, two in zip(mine, theirs, strict=True):
        assert one == pytest.approx(two, abs=0.01)


def test_a_single_process_takes_everything():
    assert own_share([1, 2, 3]) == [1, 2, 3]


@pytest.mark.parametrize(("crops", "gpus"), [(8, 3), (4, 4)])
def test_crops_that_cannot_be_divided_among_the_gpus_are_refused(crops, gpus):
    with pytest.raises(ValidationError, match=f"crops_per_step {crops} is not a multiple of gpus {gpus}"):
        TrainingSettings(crops_per_step=crops, gpus=gpus)
