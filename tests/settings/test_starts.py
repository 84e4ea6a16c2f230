import copy

import pytest
import torch

from crisp_core.classes import CLASSES
from crisp_core.errors import UserError
from crisp_core.segmentation.checkpoints import NetworkFacts, NetworkInput, write_facts
from crisp_core.segmentation.settings import NetworkSettings
from crisp_core.segmentation.shipped import DEFAULT_NETWORK
from crisp_core.settings import starts
from crisp_core.settings.checks import check_settings

FILES = {
    "micrographs": "raw/*.mrc",
    "coordinates": {"files": "raw/*.star", "origin": "top-left"},
    "pixel_size": 1.5,
    "particle_diameter_angstrom": 150,
    "split": {"train": 2, "validation": 1},
}
SIMULATED = {"simulation": {"n_micrographs": 4}, "pixel_size": 6, "particle_diameter_angstrom": 150}
SIMULATED |= {"split": {"train": 2, "validation": 1}}


@pytest.fixture(autouse=True)
def trained(monkeypatch, tmp_path):
    """Let the shipped network count as trained, and work in an empty folder."""
    monkeypatch.setattr(starts, "is_placeholder", lambda name: False)
    monkeypatch.chdir(tmp_path)


def config(dataset=FILES, **experiment):
    experiment.setdefault("training", {"start": "auto"})
    entries = {"mine": copy.deepcopy(dataset)}
    return check_settings({"run": ["mine/unet"], "datasets": entries, "experiments": {"unet": experiment}})


def start(settings, datasets=("mine",)):
    return starts.start_network(starts.Training(tuple(datasets), settings.experiments["unet"]), settings)


def write_start(path="start.pt", classes=CLASSES[:2], **network):
    torch.save({}, path)
    settings = NetworkSettings(**network)
    write_facts(path, NetworkFacts([*classes], NetworkInput(25.0, "gaussian_mixture", 0.0), settings))
    return path


def test_the_default_start_is_random():
    assert start(config(training={})) is None


def test_micrographs_from_files_start_from_the_shipped_network():
    assert start(config()) == DEFAULT_NETWORK
    assert starts.trained_classes(starts.Training(("mine",), config().experiments["unet"]), config()) == [*CLASSES]
    assert start(config(training={"start": "random"})) is None


@pytest.mark.parametrize(
    ("dataset", "experiment"),
    [
        (SIMULATED, {}),
        (FILES, {"network": {"encoder": "resnet18"}}),
        (FILES, {"network": {"options": {"encoder_depth": 3}}}),
        (FILES, {"network": {"pixels_per_diameter": 34}}),
        (FILES | {"preparation": {"normalization": "robust"}}, {}),
        (FILES | {"preparation": {"working_pixel_size": 8}}, {}),
    ],
)
def test_other_trainings_start_from_random_weights(dataset, experiment):
    assert start(config(dataset, **experiment)) is None


def chain(**starts_of):
    """Config of networks of one dataset, each with its start."""
    networks = {name: {"datasets": ["mine"], "training": {"start": start}} for name, start in starts_of.items()}
    experiments = {"unet": {"network": next(iter(networks))}}
    entries = {"mine": copy.deepcopy(FILES)}
    return check_settings({"run": ["mine/unet"], "datasets": entries, "networks": networks, "experiments": experiments})


def test_a_network_starts_from_another_of_the_config():
    found = chain(second="first", first="random")
    entry = found.networks["second"]
    assert starts.start_entry(starts.Training(("mine",), entry), found) == found.networks["first"]
    assert starts.start_facts(starts.Training(("mine",), entry), found).classes == [*CLASSES[:2]]


def test_an_entry_named_like_a_shipped_network_starts_from_that():
    found = chain(general="general")
    assert starts.start_entry(starts.Training(("mine",), found.networks["general"]), found) is None
    assert starts.trained_classes(starts.Training(("mine",), found.networks["general"]), found) == [*CLASSES]


def test_another_entry_with_equal_settings_starts_from_the_entry():
    found = chain(second="general", general="general")
    assert starts.start_entry(starts.Training(("mine",), found.networks["second"]), found) is found.networks["general"]
    assert starts.start_entry(starts.Training(("mine",), found.networks["general"]), found) is None


def test_networks_that_start_from_each_other_are_refused():
    with pytest.raises(UserError, match="networks/a/training/start: b starts from itself"):
        chain(a="b", b="a")


def test_an_unfit_start_of_the_config_is_refused():
    networks = {
        "first": {"datasets": ["mine"], "network": {"encoder": "resnet18"}},
        "second": {"datasets": ["mine"], "training": {"start": "first"}},
    }
    with pytest.raises(UserError, match=r"networks/second/training/start: first does not .* encoder resnet18"):
        check_settings(
            {
                "run": ["mine/unet"],
                "datasets": {"mine": copy.deepcopy(FILES)},
                "networks": networks,
                "experiments": {"unet": {"network": "second"}},
            }
        )


def test_a_placeholder_is_no_start(monkeypatch):
    monkeypatch.setattr(starts, "is_placeholder", lambda name: True)
    assert start(config()) is None
    with pytest.raises(UserError, match="unet/training/start: the weights of general are a placeholder"):
        config(training={"start": "general"})


def test_a_simulation_starts_from_a_network_where_the_config_says_so():
    assert start(config(SIMULATED, training={"start": "general"})) == "general"
    path = write_start()
    settings = config(SIMULATED, training={"start": path})
    assert start(settings) == path
    assert starts.trained_classes(starts.Training(("mine",), settings.experiments["unet"]), settings) == [*CLASSES[:2]]


def test_classes_of_the_start_need_no_labels():
    four = {"classes": [*CLASSES]}
    assert start(config(network=four)) == DEFAULT_NETWORK
    with pytest.raises(UserError, match="network/classes: the labels of mine do not show contaminant and carbon"):
        config(network=four, training={"start": "random"})


@pytest.mark.parametrize(
    ("experiment", "message"),
    [
        ({"training": {"start": "genral"}}, "start: genral is not a start .*; give one of auto, random, general"),
        ({"training": {"start": "a.pt"}}, "unet/training/start: a.pt does not exist; correct the path"),
        (
            {"training": {"start": "general"}, "network": {"encoder": "resnet18"}},
            "training/start: general does not fit this network: it has encoder tu-resnet10t, not resnet18; set",
        ),
        (
            {"training": {"start": "start.pt"}, "network": {"classes": [*CLASSES]}},
            "start.pt does not fit this network: it does not know contaminant and carbon; leave that out",
        ),
        (
            {"training": {"start": "start.pt"}, "network": {"pixels_per_diameter": 40}},
            "expects particles 25 px wide, here they are 40 px; set preparation/working_pixel_size to 6 in datasets",
        ),
    ],
)
def test_a_start_that_does_not_fit_is_refused(experiment, message):
    write_start()
    with pytest.raises(UserError, match=message):
        config(**experiment)


def test_a_start_has_the_width_of_its_training():
    # 25 px in training, 27.5 px in use
    config(network={"pixels_per_diameter": 23}, training={"start": "general"})
    with pytest.raises(UserError, match="expects particles 25 px wide, here they are 30 px"):
        config(network={"pixels_per_diameter": 30}, training={"start": "general"})


def test_a_network_of_several_datasets_starts_from_the_shipped_one_where_all_are_files():
    datasets = {"mine": FILES, "other": FILES, "drawn": SIMULATED}
    settings = check_settings(
        {
            "run": ["mine/named"],
            "datasets": copy.deepcopy(datasets),
            "networks": {
                "files": {"datasets": ["mine", "other"], "training": {"start": "auto"}},
                "mixed": {"datasets": ["mine", "drawn"], "training": {"start": "auto"}},
                "given": {"datasets": ["mine", "drawn"], "training": {"start": "general"}},
            },
            "experiments": {"named": {"network": "files"}},
        }
    )
    found = {
        name: starts.start_network(starts.training_of_entry(entry), settings)
        for name, entry in settings.networks.items()
    }
    assert found == {"files": DEFAULT_NETWORK, "mixed": None, "given": DEFAULT_NETWORK}
