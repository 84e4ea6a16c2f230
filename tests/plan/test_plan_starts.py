"""What rule `train` takes of the network from which a training starts."""

import hashlib
from pathlib import Path

import pytest

from crisp_core.classes import CLASSES
from crisp_core.plan import starts
from crisp_core.segmentation.shipped import network_file
from crisp_core.settings import starts as settings_starts

from .configs import MINE, plan
from .test_plan_networks import write_checkpoint


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(settings_starts, "is_placeholder", lambda name: False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_shipped_network_is_an_input_and_its_digest_a_parameter():
    asked = plan(experiments={"unet": {"training": {"start": "auto"}}})
    assert starts.start_files(asked, network="mine/unet") == [network_file("general")]
    digest = hashlib.sha256(Path(network_file("general")).read_bytes()).hexdigest()
    assert starts.start_record(asked, network="mine/unet") == {"network": "general", "sha256": digest}
    assert starts.labelled_classes(asked, network="mine/unet") == [*CLASSES[:2]]


def test_a_network_of_the_config_is_an_input_that_is_trained_first():
    networks = {
        "first": {"datasets": ["mine"]},
        "second": {"datasets": ["mine"], "training": {"start": "first"}},
    }
    asked = plan(networks=networks, experiments={"unet": {"network": "second"}})
    assert starts.start_files(asked, network="networks/second") == ["results/networks/first/network.pt"]
    assert starts.start_record(asked, network="networks/second") == {"network": "first"}
    assert starts.start_files(asked, network="networks/first") == []


def test_random_weights_are_no_input():
    asked = plan(run=["sim/unet"])
    assert starts.start_files(asked, network="sim/unet") == []
    assert starts.start_record(asked, network="sim/unet") is None


def test_other_weights_in_a_file_are_another_parameter(folder):
    path = write_checkpoint(folder / "mine.pt")
    asked = plan(experiments={"unet": {"training": {"start": path}}})
    assert starts.start_files(asked, network="mine/unet") == [path]
    before = starts.start_record(asked, network="mine/unet")
    Path(path).write_bytes(b"others")
    assert starts.start_record(asked, network="mine/unet") != before


def test_a_network_shares_the_labels_of_its_datasets():
    scenery = {"carbon": {"probability": 0.5}}
    drawn = {"simulation": {"n_micrographs": 12, "scenery": scenery}, "pixel_size": 6}
    drawn |= {"particle_diameter_angstrom": 150, "split": {"train": 6, "validation": 2}}
    asked = plan(datasets={"mine": MINE, "sim": drawn}, networks={"both": {"datasets": ["mine", "sim"]}})
    assert starts.labelled_classes(asked, network="networks/both") == ["background", "particle", "carbon"]
