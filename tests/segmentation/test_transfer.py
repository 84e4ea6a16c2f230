import pytest
import torch

from crisp_core.classes import CLASSES, IGNORED
from crisp_core.segmentation.checkpoints import NetworkFacts, NetworkInput
from crisp_core.segmentation.losses.total import make_loss
from crisp_core.segmentation.networks import TrainedNetwork, build_network, save_network
from crisp_core.segmentation.settings import NetworkSettings
from crisp_core.segmentation.starts import network_classes, unlabelled_classes, weights_difference
from crisp_core.segmentation.training_settings import FROM_NETWORK, FROM_RANDOM, TrainingSettings
from crisp_core.segmentation.transfer import begin, joined_with_background

SMALL = NetworkSettings(encoder_weights=None, options={"encoder_depth": 3, "decoder_channels": [16, 8, 8]})
SEEN = NetworkInput(25.0, "gaussian_mixture", 0.0)
TWO, FOUR = [*CLASSES[:2]], [*CLASSES]


@pytest.fixture
def start(tmp_path):
    """Checkpoint of a network of four classes whose last layer has a row of its own for each."""
    torch.manual_seed(0)
    network = build_network(SMALL, 4)
    with torch.no_grad():
        network.segmentation_head[0].bias[:] = torch.arange(4)
    facts = NetworkFacts(FOUR, SEEN, SMALL.changed(classes=FOUR))
    save_network(tmp_path / "start.pt", TrainedNetwork(network, facts), state=network.state_dict())
    return tmp_path / "start.pt"


def logits(network):
    return network.eval()(torch.ones(1, 1, 32, 32))


def test_a_network_starts_with_the_weights_and_the_classes_of_another(start):
    begun = begin(SMALL, TrainingSettings(), start)
    assert begun.classes == FOUR
    assert begun.training.schedule() == FROM_NETWORK
    assert begin(SMALL, TrainingSettings(epochs=7), start).training.schedule() == FROM_NETWORK._replace(epochs=7)


def test_the_last_layer_is_taken_by_the_names_of_the_classes(start):
    known = logits(begin(SMALL, TrainingSettings(), start).network)
    for classes in (TWO, ["background", "particle", "carbon"]):
        begun = begin(SMALL.changed(classes=classes), TrainingSettings(), start)
        rows = [FOUR.index(name) for name in classes]
        torch.testing.assert_close(logits(begun.network), known[:, rows])


def test_random_weights_follow_the_seed_alone():
    torch.manual_seed(3)
    begun = begin(SMALL, TrainingSettings(), None)
    torch.manual_seed(3)
    torch.testing.assert_close(logits(begun.network), logits(build_network(SMALL, 2)))
    assert begun.classes == TWO and begun.training.schedule() == FROM_RANDOM


def test_weights_fit_the_same_architecture_and_known_classes():
    facts = NetworkFacts(FOUR, SEEN, SMALL)
    assert weights_difference(facts, SMALL) is None
    assert weights_difference(facts, SMALL.changed(classes=TWO, encoder_weights="imagenet")) is None
    message = weights_difference(facts, SMALL.changed(encoder="resnet18"))
    assert message == "it has encoder tu-resnet10t, not resnet18; set network/encoder to tu-resnet10t"
    assert "not null; set network/options to {" in weights_difference(facts, SMALL.changed(options=None))
    message = weights_difference(facts._replace(classes=TWO), SMALL.changed(classes=FOUR))
    assert message == "it does not know contaminant and carbon; leave that out of network/classes"
    assert "a CRF" in weights_difference(facts._replace(crf={}), SMALL)


def test_classes_without_labels():
    assert network_classes(SMALL, None) == TWO
    assert network_classes(SMALL.changed(classes=TWO), NetworkFacts(FOUR, SEEN, SMALL)) == TWO
    assert unlabelled_classes(FOUR, TWO) == ["contaminant", "carbon"]
    assert unlabelled_classes(TWO, FOUR) == []


@pytest.mark.parametrize("terms", [["cross_entropy"], ["dice", "lovasz"]])
def test_the_joined_loss_is_that_of_the_summed_probabilities(terms):
    torch.manual_seed(1)
    values, labels = torch.randn(2, 4, 5, 6), torch.randint(0, 2, (2, 5, 6))
    labels[0, 0] = IGNORED
    loss = make_loss(terms)
    p = values.softmax(1)
    two = torch.stack([p[:, [0, 2, 3]].sum(1), p[:, 1]], dim=1)
    assert joined_with_background(loss, FOUR, FOUR[2:])(values, labels).item() == pytest.approx(
        loss(two.log(), labels).item(), rel=1e-5
    )
    # without contaminant, carbon is the third label
    three = torch.stack([p[:, [0, 2]].sum(1), p[:, 1], p[:, 3]], dim=1)
    carbon = torch.where(labels == 1, 3, labels)
    joined = joined_with_background(loss, FOUR, ["contaminant"])(values, carbon)
    assert joined.item() == pytest.approx(loss(three.log(), torch.where(labels == 1, 2, labels)).item(), rel=1e-5)
    assert joined_with_background(loss, FOUR, []) is loss


def test_joined_labels_move_no_probability_between_the_other_classes():
    """The gradient leaves the shares of background, contaminant and carbon among one another as they are."""
    values = torch.randn(1, 4, 4, 4, requires_grad=True)
    loss = joined_with_background(make_loss(["cross_entropy"]), FOUR, FOUR[2:])
    loss(values, torch.zeros(1, 4, 4, dtype=torch.long)).backward()
    share = values.detach()[:, [0, 2, 3]].softmax(1)
    own = values.grad[:, [0, 2, 3]]
    torch.testing.assert_close(own, share * own.sum(1, keepdim=True))
