import pytest

from crisp_core.classes import REGISTRY, PixelClass
from crisp_core.errors import UserError
from crisp_core.plan.checks import check_reused_network
from crisp_core.settings import class_checks
from tests.plan.configs import config, plan

# by default, a training on files starts from the general network, which has four classes
RANDOM = {"training": {"start": "random"}}
FOUR = ["background", "particle", "contaminant", "carbon"]
SCENERY = {
    "simulation": {"scenery": {"carbon": {"probability": 0.5}, "ice": {"n_per_micrograph": [0, 2]}}},
    "split": {"train": 6, "validation": 2},
    "pixel_size": 6,
    "particle_diameter_angstrom": 150,
}
FILAMENT = PixelClass("filament", 4, "#E69F00", layer=3, removal_diameters=1.0)


def test_labels_that_do_not_show_a_class_are_refused_with_the_scenery_that_would():
    with pytest.raises(UserError) as error:
        config(experiments={"unet": {"network": {"classes": FOUR}} | RANDOM})
    assert str(error.value) == (
        "config, experiments/unet/network/classes: the labels of mine do not show contaminant and carbon; leave this "
        "out, or train on a simulation with labels truth and this in its scenery: ice, ethane, aggregates, carbon"
    )


def test_a_class_without_an_element_of_the_scenery_is_refused_with_what_it_needs(monkeypatch):
    monkeypatch.setattr(class_checks, "REGISTRY", (*REGISTRY, FILAMENT))
    with pytest.raises(UserError) as error:
        class_checks.check_shown("networks/mine/network/classes", ["filament"], ["drawn", "mine"])
    assert str(error.value) == (
        "networks/mine/network/classes: the labels of drawn and mine do not show filament; leave filament out, since "
        "no element of a simulation's scenery has this class (elements in crisp_core/classes.py)"
    )


@pytest.mark.parametrize(
    ("experiment", "what"),
    [
        (RANDOM, "the network's classes are background, particle"),
        ({"network": "both"}, "the network's classes are background, particle"),
        ({"picker": {"program": "skimage-log"}}, "another picker predicts no classes"),
    ],
)
def test_a_distance_to_a_class_that_is_not_predicted_is_refused(experiment, what):
    given = {"experiments": {"unet": experiment}, "networks": {"both": {"datasets": ["mine"]} | RANDOM}}
    for removal in ({}, {"carbon_diameters": None}, {"edge": True}):
        config(**given | {"experiments": {"unet": experiment | {"removal": removal}}})
    with pytest.raises(UserError) as error:
        config(**given | {"experiments": {"unet": experiment | {"removal": {"carbon_diameters": 1.0}}}})
    assert str(error.value) == (
        f"config, experiments/unet/removal/carbon_diameters: {what}; leave the distance out, or give a network with "
        "the class carbon"
    )


def test_a_distance_to_a_class_of_the_network_is_accepted():
    removal = {"removal": {"carbon_diameters": 1.0, "contaminant_diameters": 0.2}}
    settings = config(
        run=["drawn/unet"], datasets={"drawn": SCENERY}, experiments={"unet": {"network": {"classes": FOUR}} | removal}
    )
    assert settings.experiments["unet"].removal.carbon_diameters == 1


def test_a_distance_to_a_class_that_a_trained_network_lacks_is_refused():
    removal = {"removal": {"carbon_diameters": 1.0}}
    asked = plan(
        run=["mine/unet", "mine/again"],
        experiments={"unet": RANDOM, "again": {"trained": "results/mine/unet"} | removal},
    )
    with pytest.raises(UserError, match="experiments/again/removal/carbon_diameters: the network's classes are"):
        check_reused_network(asked, "mine", "again")
