"""A network that is trained on a person's corrections makes the corrected kind of mistake less often."""

import json

import h5py
import numpy as np
import pytest
import torch

from crisp_core.datasets.corrections import merge_corrections
from crisp_core.formats.arrays import Grid, write_array
from crisp_core.formats.corrections import read_corrections
from crisp_core.labels.corrections import label_corrected
from crisp_core.labels.discs import disc_label
from crisp_core.segmentation.crops import LabelledMicrograph
from crisp_core.segmentation.inference import predict
from crisp_core.segmentation.networks import build_network
from crisp_core.segmentation.training import fit
from tests.datasets.test_corrections import entry, file

from .test_training import NETWORK, PREDICTION, SETTINGS, one_thread

__all__ = ["one_thread"]

SHAPE, RADIUS = (64, 80), 6
GRID = Grid(SHAPE, 1.0, SHAPE)
# x, y of dark particles and of bright junk
PARTICLES, JUNK = [[12, 12], [40, 14], [14, 44], [58, 50]], [[64, 14], [38, 42], [16, 28]]


def spots(xy):
    return disc_label(SHAPE, xy, radius_px=RADIUS)


def write(path, kinds):
    """Write noise with dark particles and bright junk, and the labels and weights of `kinds`."""
    with h5py.File(path, "w") as output:
        for seed, (name, arrays) in enumerate(kinds.items()):
            noise = np.random.default_rng(seed).normal(size=SHAPE) * 0.5
            image = (noise - 2.0 * spots(PARTICLES) + 2.0 * spots(JUNK)).astype(np.float32)
            arrays = {"image": image, "valid": np.ones(SHAPE, bool), **arrays}
            for kind, array in arrays.items():
                write_array(output, kind, name, array, pixel_size=1.0, full_shape=SHAPE)
    return [LabelledMicrograph(name, str(path), str(path)) for name in kinds]


def train(network, micrographs):
    settings = SETTINGS.changed(epochs=8, crops_per_micrograph=16)
    state, _ = fit(
        network, micrographs[:2], micrographs[2:], settings=settings, prediction=PREDICTION, device="cpu", seed=3
    )
    network.load_state_dict(state)
    return network


def probabilities(network):
    """Mean particle probability on particles and on junk of a micrograph that no training saw."""
    noise = np.random.default_rng(9).normal(size=SHAPE) * 0.5
    moved = [[[SHAPE[1] - 1 - x, y] for x, y in xy] for xy in (PARTICLES, JUNK)]
    particles, junk = map(spots, moved)
    image = (noise - 2.0 * particles + 2.0 * junk).astype(np.float32)
    found = predict(network.eval(), image, tile_px=64, overlap_px=8)[1]
    return found[particles == 1].mean(), found[junk == 1].mean()


@pytest.mark.slow
def test_a_network_that_takes_junk_for_particles_learns_from_removed_picks(tmp_path):
    torch.manual_seed(0)
    wrong = {name: {"label": spots(PARTICLES + JUNK)} for name in "abc"}
    network = train(build_network(NETWORK, 2), write(tmp_path / "wrong.h5", wrong))
    particles, junk = probabilities(network)
    assert particles > 0.5 and junk > 0.5
    # the file of a person who keeps the particles and removes the junk
    facts = {"pixel_size_angstrom": 1.0, "shape_px": list(SHAPE), "kept": PARTICLES, "removed": JUNK}
    (tmp_path / "corrections.json").write_text(json.dumps(file("A", *[entry(name, **facts) for name in "abc"]).plain()))
    saved = merge_corrections([read_corrections(tmp_path / "corrections.json")], diameter_angstrom=2 * RADIUS)
    sizes = {"diameter_angstrom": 2 * RADIUS, "disc_radius_angstrom": RADIUS, "trusted": True, "weight": 4}
    labels = {name: label_corrected(saved.micrographs[name], GRID, **sizes)._asdict() for name in "abc"}
    particles, junk = probabilities(train(network, write(tmp_path / "right.h5", labels)))
    assert particles > 0.5 and junk < 0.3
