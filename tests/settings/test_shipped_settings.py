"""Networks that come with CRISP, in the settings and the plan."""

import pytest

from crisp_core.errors import UserError
from crisp_core.picking.settings import CenterSettings
from crisp_core.plan.networks import centers_file
from crisp_core.plan.shipped import centers_to_set, shipped_network_of, shipped_record
from crisp_core.segmentation.shipped import SHIPPED_NETWORKS, read_shipped_centers, sha256, shipped_network
from crisp_core.settings import shipped
from crisp_core.settings.shipped import given_centers, lowest_score
from tests.plan.configs import MINE, config, plan

SHIPPED = {"finder": {"name": "morphology"}, "threshold": 0.42}
CALIBRATION = {"score": [0.2, 0.6], "precision": [0.5, 0.9]}


@pytest.fixture
def centers(monkeypatch):
    """Contents of the yaml file of a shipped network, in place of those in use."""
    entry = SHIPPED | {"calibration": CALIBRATION}
    monkeypatch.setattr(shipped, "read_shipped_centers", lambda name: entry)
    return entry


def test_without_coordinates_and_network_the_shipped_one_is_used():
    found = plan((("bare", "a", 0, 0),), run=["bare/quick"], experiments={"quick": {}})
    assert found.experiment("quick").network == "general"
    # 300 Å / 27.5 px
    assert found.dataset("bare").preparation.working_pixel_size == 10.91
    assert centers_file(found, dataset="bare", experiment="quick") == "results/bare/quick/centers-given.yaml"
    assert shipped_record(found, dataset="bare", experiment="quick") == {
        "shipped": {"name": "general", "sha256": sha256(shipped_network("general"))}
    }
    expected = read_shipped_centers("general")
    given = centers_to_set(found, dataset="bare", experiment="quick")
    assert given["threshold"] == expected["threshold"] and given["finder"] == expected["finder"]


@pytest.mark.parametrize(("pixel_size", "working"), [(2.0, 10.91), (12.0, 12.0), (20.0, 10.91)])
def test_coarse_micrographs_are_enlarged_for_the_shipped_network(pixel_size, working):
    dataset = {"micrographs": "bare/*.mrc", "pixel_size": pixel_size, "particle_diameter_angstrom": 300}
    found = config(run=["bare/quick"], experiments={"quick": {}}, datasets={"bare": dataset})
    assert found.datasets["bare"].preparation.working_pixel_size == working


@pytest.mark.parametrize(("start", "width"), [("random", 25), ("general", 27.5)])
@pytest.mark.parametrize("run", [["mine/unet", "mine/general"], ["mine/general", "mine/unet"]])
def test_who_decides_the_width_does_not_depend_on_the_order_of_the_runs(run, start, width):
    # a network that learns from corrections leaves the picks of its start as they are
    found = config(run=run, experiments={"unet": {"training": {"start": start}}, "general": {"network": "general"}})
    dataset = found.datasets["mine"]
    assert dataset.preparation.working_pixel_size == round(dataset.particle_diameter_angstrom / width, 2)


@pytest.mark.parametrize("width", [24.9, 24.0, 22.6, 22.0])
def test_coarse_micrographs_fit_all_networks_of_a_dataset(width):
    dataset = MINE | {"pixel_size": MINE["particle_diameter_angstrom"] / width}
    experiments = {"unet": {}, "general": {"network": "general"}}
    found = config(run=["mine/unet", "mine/general"], experiments=experiments, datasets={"mine": dataset})
    seen = found.datasets["mine"].particle_diameter_angstrom / found.datasets["mine"].preparation.working_pixel_size
    assert seen == pytest.approx(24.9 if width == 24.9 else 25)


def test_micrographs_that_are_too_coarse_for_the_shipped_network_are_refused():
    dataset = {"micrographs": "bare/*.mrc", "pixel_size": 20.0, "particle_diameter_angstrom": 150}
    with pytest.raises(UserError, match=r"datasets/bare: a particle is 7.5 px wide, .* 27.5 px wide; .* at most 13.6"):
        config(run=["bare/quick"], experiments={"quick": {}}, datasets={"bare": dataset})


def test_with_coordinates_a_network_is_trained_as_before():
    found = plan()
    assert not isinstance(found.experiment("unet").network, str)
    assert (
        shipped_network_of(found, "mine", "unet") is None
        and shipped_record(found, dataset="mine", experiment="unet") == {}
    )


def test_an_inherited_network_counts_as_named():
    experiments = {"base": {"network": {"encoder": "resnet18"}}, "quick": {"extend": "base"}}
    with pytest.raises(UserError, match=r"bare/quick has no coordinates to train on; .*/network: general"):
        config(run=["bare/quick"], experiments=experiments)


def test_an_experiment_on_both_kinds_of_dataset_is_refused():
    with pytest.raises(UserError, match=r"bare/unet has no coordinates to train on; .*/network: general"):
        config(run=["mine/unet", "bare/unet"])


def test_a_section_of_training_is_not_ignored():
    with pytest.raises(UserError, match="bare/quick has no coordinates to train on"):
        config(run=["bare/quick"], experiments={"quick": {"training": {"epochs": 3}}})


def test_the_config_comes_before_the_shipped_centers(centers):
    assert given_centers(CenterSettings(), "general") == centers
    assert given_centers(CenterSettings(threshold=0.7), "general") == centers | {"threshold": 0.7}
    # the calibration is of the other finder
    assert given_centers(CenterSettings(finder="nms"), "general") == {"finder": "nms", "threshold": 0.42}
    assert given_centers(CenterSettings(), None) == {"finder": "search", "threshold": None}


@pytest.mark.parametrize("name", SHIPPED_NETWORKS)
def test_every_shipped_network_gives_a_threshold_by_expected_precision(name):
    own = given_centers(CenterSettings(), name)["threshold"]
    strict = given_centers(CenterSettings(target_precision=0.9), name)["threshold"]
    assert own < strict < 1


def test_a_threshold_by_expected_precision_needs_no_labels(centers):
    wanted = CenterSettings(target_precision=0.7)
    assert given_centers(wanted, "general")["threshold"] == pytest.approx(0.4, abs=1e-3)
    assert given_centers(wanted.changed(threshold=0.3), "general")["threshold"] == 0.3
    # without a calibration of this finder nothing is known
    assert given_centers(wanted.changed(finder="nms"), "general")["threshold"] is None
    with pytest.raises(UserError, match=r"target_precision: 0\.95 is above the highest expected precision .* 0\.9;"):
        lowest_score(CALIBRATION, 0.95)
