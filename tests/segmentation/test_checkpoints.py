import zipfile

import pytest
import torch

from crisp_core.errors import UserError
from crisp_core.preparation.settings import PreparationSettings
from crisp_core.segmentation.checkpoints import (
    NetworkFacts,
    NetworkInput,
    check_input,
    input_difference,
    network_input,
    read_facts,
    write_facts,
)
from crisp_core.segmentation.settings import NetworkSettings

SEEN = NetworkInput(25.0, "robust", 50.0)
FACTS = NetworkFacts(["background", "particle"], SEEN, NetworkSettings(encoder="resnet18"), None, {"torch": "2"})
PREPARATION = {"working_pixel_size": 7.0, "normalization": "robust", "highpass_angstrom": 350, "margin_angstrom": 9}


def test_facts_come_back_and_the_weights_are_untouched(tmp_path):
    weights = {"a": torch.arange(5.0)}
    torch.save(weights, tmp_path / "network.pt")
    write_facts(tmp_path / "network.pt", FACTS)
    (tmp_path / "network.pt").rename(tmp_path / "renamed.pt")
    assert read_facts(tmp_path / "renamed.pt") == FACTS
    assert torch.equal(torch.load(tmp_path / "renamed.pt", weights_only=True)["a"], weights["a"])


@pytest.mark.parametrize("kind", ["missing", "text", "other zip", "no facts", "older", "list"])
def test_other_files_are_refused_by_name(kind, tmp_path):
    path = tmp_path / "network.pt"
    if kind == "text":
        path.write_text("hello")
    elif kind != "missing":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("network/data.pkl", b"")
            contents = {"older": '{"format": 1}', "list": "[]", "no facts": None, "other zip": None}[kind]
            if contents:
                archive.writestr("network/crisp.json", contents)
    with pytest.raises(UserError, match=r"network\.pt: "):
        read_facts(path)


def test_two_particles_of_other_size_look_alike_at_their_own_pixel_sizes():
    small = network_input(PreparationSettings(**PREPARATION), 175)
    large = network_input(
        PreparationSettings(**PREPARATION | {"working_pixel_size": 14.0, "highpass_angstrom": 700}), 350
    )
    assert small == large == SEEN


@pytest.mark.parametrize(
    ("change", "verb", "message"),
    [
        (
            {"working_pixel_size": 10.0},
            "expects",
            "25 px wide, here they are 17.5 px; set preparation/working_pixel_size to 7",
        ),
        ({"normalization": "gaussian_mixture"}, "was trained", "set preparation/normalization to robust"),
        (
            {"highpass_angstrom": 0},
            "was trained",
            "high-pass of 50 px, here it is 0 px; set preparation/highpass_angstrom to 350",
        ),
    ],
)
def test_a_difference_names_its_cure(change, verb, message):
    given = network_input(PreparationSettings(**PREPARATION | change), 175)
    assert message in input_difference(SEEN, given, diameter_angstrom=175)
    with pytest.raises(UserError, match=rf"^mine\.pt: the network {verb} "):
        check_input(SEEN, given, path="mine.pt", diameter_angstrom=175)


def test_sizes_may_differ_by_a_tenth():
    assert input_difference(SEEN, SEEN._replace(diameter_px=22.6), diameter_angstrom=175) is None
    assert input_difference(SEEN, SEEN._replace(diameter_px=22.4), diameter_angstrom=175) is not None
