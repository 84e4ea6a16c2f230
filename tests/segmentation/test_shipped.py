"""Networks that come with CRISP."""

import pytest

from crisp_core.classes import CLASSES
from crisp_core.errors import UserError
from crisp_core.picking.finders import finder_of_file
from crisp_core.plan.networks import checkpoint
from crisp_core.segmentation.checkpoints import read_facts
from crisp_core.segmentation.networks import load_network
from crisp_core.segmentation.shipped import (
    DEFAULT_NETWORK,
    FOLDER,
    SHIPPED_NETWORKS,
    check_digest,
    is_placeholder,
    network_file,
    read_shipped_centers,
    shipped_network,
)
from tests.plan.configs import MINE, plan

LARGEST_BYTES = 10e6


@pytest.mark.parametrize("name", SHIPPED_NETWORKS)
def test_no_network_is_a_placeholder(name):
    assert not is_placeholder(name), (
        f"{name} is a placeholder of random weights; install a trained network with "
        "`python -m crisp_core.segmentation.shipped add`"
    )


@pytest.mark.parametrize("name", SHIPPED_NETWORKS)
def test_a_shipped_network_loads_with_its_threshold(name):
    trained = load_network(shipped_network(name))
    assert trained.facts.classes[:2] == [*CLASSES[:2]]
    centers = read_shipped_centers(name)
    assert 0 < centers["threshold"] < 1 and finder_of_file(centers)
    check_digest(name)


def test_the_general_network_sees_particles_27_5_px_wide():
    facts = read_facts(shipped_network(DEFAULT_NETWORK))
    assert facts.input.diameter_px == 27.5
    # the estimate of an unknown diameter looks at the width of the training
    assert facts.trained_diameter_px == pytest.approx(25)
    assert facts.classes == ["background", "particle", "contaminant", "carbon"]


def test_all_networks_have_few_bytes():
    assert sum(path.stat().st_size for path in FOLDER.iterdir() if path.is_file()) < LARGEST_BYTES


def test_another_name_is_refused():
    with pytest.raises(UserError, match="does not come with CRISP; give one of general"):
        shipped_network("special")
    assert network_file("mine/network.pt") == "mine/network.pt"


def test_an_experiment_takes_the_shipped_network_by_name():
    found = plan(experiments={"unet": {"network": "general"}})
    assert checkpoint(found, "mine", "unet") == str(shipped_network("general"))
    assert found.dataset("mine").preparation.working_pixel_size == round(MINE["particle_diameter_angstrom"] / 27.5, 2)


def test_an_entry_of_networks_comes_before_the_shipped_network():
    found = plan(networks={"general": {"datasets": ["mine"]}}, experiments={"unet": {"network": "general"}})
    assert checkpoint(found, "mine", "unet") == "results/networks/general/network.pt"
