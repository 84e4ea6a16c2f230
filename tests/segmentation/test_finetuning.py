import numpy as np
import pytest
import torch
from pydantic import ValidationError

from crisp_core.errors import UserError
from crisp_core.segmentation import finetuning
from crisp_core.segmentation.checkpoints import NetworkFacts, NetworkInput
from crisp_core.segmentation.crf.grid_size import largest_grid
from crisp_core.segmentation.crf.kernels import pixel_coordinates
from crisp_core.segmentation.crf.layer import CrfLayer
from crisp_core.segmentation.crf.network import CrfNetwork
from crisp_core.segmentation.crf.settings import CrfSettings, LayerSettings
from crisp_core.segmentation.finetuning import crf_steps, finetuning_settings, keep_better
from crisp_core.segmentation.inference import padded_logits, predict, tile_probabilities
from crisp_core.segmentation.networks import TrainedNetwork, build_network, load_network, n_parameters, save_network
from crisp_core.segmentation.optimization import make_optimizer
from crisp_core.segmentation.resuming import Resume
from crisp_core.segmentation.training import fit

from .labelled import disc_micrographs
from .test_training import NETWORK, PREDICTION, SETTINGS, Killed, assert_same, kill_at_forward, one_thread  # noqa: F401

TYPES = ("intensity", "logits", "learned")
DIAMETER_PX = 25.0
SMALL_CRF = {
    **{"alpha_diameters": 0.32, "gamma_diameters": 0.06, "stride_px": 2, "learned_channels": 4},
    **{"iterations": 2, "epochs": 2},
}


def section(**given):
    """Section crf of an experiment, with its defaults."""
    return CrfSettings(**given)


def small_network(n_classes=2):
    torch.manual_seed(0)
    return build_network(NETWORK, n_classes).eval()


@pytest.fixture
def micrographs(tmp_path):
    return disc_micrographs(tmp_path)


def layer_settings(crf, n_labels):
    return finetuning.layer_settings(crf, n_labels, diameter_px=DIAMETER_PX)


def with_crf(network, crf, n_labels, *, tile_px=64):
    return finetuning.with_crf(network, crf, n_labels, diameter_px=DIAMETER_PX, tile_px=tile_px)


def test_a_search_takes_no_values_beside_it():
    assert section(type="tune").plain()["type"] == "tune"
    with pytest.raises(ValidationError, match="type tune searches its own values and does not use gamma_diameters"):
        section(type="tune", gamma_diameters=0.2)


def test_a_factor_of_the_logits_changes_the_unary_term_alone():
    logits = torch.randn(1, 2, 8, 8)
    layer = CrfLayer(LayerSettings(solver="mean_field", appearance=0, smoothness=0, unary_scale=0.3), 2)
    torch.testing.assert_close(layer(logits).exp(), (0.3 * logits).softmax(1))


def test_the_settings_of_the_layer_follow_from_type_solver_and_diameter():
    default = {"initial_weight": 0.5}
    assert layer_settings(section(type="logits"), 2) == LayerSettings(**default)
    assert layer_settings(section(type="intensity"), 4) == LayerSettings(features="intensity", **default)
    assert layer_settings(section(type="logits"), 4).operator == "pooled"
    learned = {"features": "learned", "operator": "pooled", "beta": 0.5, **default}
    assert layer_settings(section(type="learned"), 2) == LayerSettings(**learned)
    given = {"operator": "pooled", "beta": 0.3, "solver": "mean_field"}
    expected = LayerSettings(features="intensity", initial_weight=0.0, **given)
    assert layer_settings(section(type="intensity", **given), 2) == expected
    twice = finetuning.layer_settings(section(type="logits"), 2, diameter_px=50.0)
    assert (twice.alpha_px, twice.gamma_px, twice.lowpass_px) == (50.0, 5.0, 4.0)


def test_the_preset_of_the_paper_has_its_lengths_on_empiar_10017():
    crf = section(type="logits", preset="paper")
    # 191 Å at 1.77 Å/px
    settings = finetuning.layer_settings(crf, 2, diameter_px=191 / 1.77)
    assert (settings.alpha_px, settings.gamma_px) == (pytest.approx(160), pytest.approx(3))
    assert (settings.couplings, settings.learn_kernel, settings.beta) == ("full", False, 0.05)
    assert (settings.solver, settings.regularizer, settings.initial_weight) == ("frank_wolfe", "l2", 0.5)
    # a given key wins, and what a rule gets as its parameter is the same section
    changed = section(type="logits", preset="paper", couplings="potts")
    assert changed.couplings == "potts" and CrfSettings.of(changed.plain()) == changed


def test_lengths_in_pixels_are_refused_with_the_new_key():
    with pytest.raises(ValidationError, match=r"write alpha_diameters with alpha_px divided by .* 6.4 at the default"):
        section(type="logits", alpha_px=160)


def test_a_grid_too_large_for_the_prediction_is_refused_before_training():
    crf = section(type="intensity", alpha_diameters=0.4, beta=0.05, lowpass_diameters=0)
    # 154 nodes along 512 px, 961 in the feature
    with pytest.raises(UserError, match=r"154 × 154 × 961 cells"):
        with_crf(small_network(), crf, 2, tile_px=512)
    with_crf(small_network(), crf, 2, tile_px=256)


@pytest.mark.parametrize("scale", [1.0, 1e6])
def test_the_largest_grid_bounds_the_grid_of_any_tile(scale):
    settings = LayerSettings(features="intensity", alpha_px=10.0, beta=0.5)
    features = scale * torch.randn(1, 1, 64, 64)
    coordinates = pixel_coordinates(features.clamp(-8, 8), settings.alpha_px, settings.beta).flatten(2)
    spans = ((coordinates.amax(2) - coordinates.amin(2)) * settings.grid_samples)[0]
    assert all(int(span) + 1 <= n for span, n in zip(spans, largest_grid(settings, 64), strict=True))
    layer = CrfLayer(settings, 2)
    assert torch.isfinite(layer(torch.randn(1, 2, 64, 64), features)).all()


@pytest.mark.parametrize("kind", ["control", *TYPES])
def test_a_further_training_that_does_not_help_leaves_the_start(kind):
    network = small_network()
    images = torch.randn(1, 1, 40, 32)
    with torch.no_grad():
        expected = padded_logits(network, images).softmax(1)
    start = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    wrapped = with_crf(network, section(type=kind, **SMALL_CRF), 2).eval()
    with torch.no_grad():
        for parameter in wrapped.parameters():
            parameter.add_(0.1)
    state = {name: tensor.clone() for name, tensor in wrapped.state_dict().items()}
    rows = [{"train_loss": 1.0, "validation_loss": 1.0, "validation_iou": iou} for iou in (0.5, 0.4, 0.6)]
    assert keep_better(wrapped, start, state, rows) is state
    kept = keep_better(wrapped, start, state, rows[:2])
    wrapped.load_state_dict(kept)
    with torch.no_grad():
        # softmax of log probabilities are the probabilities
        torch.testing.assert_close(padded_logits(wrapped, images).softmax(1), expected)


@pytest.mark.parametrize("kind", TYPES)
def test_a_crf_without_coupling_changes_no_probability(kind):
    network = small_network()
    images = torch.randn(2, 1, 40, 29)
    without = with_crf(network, section(type=kind, solver="mean_field", appearance=0, smoothness=0), 2)
    with torch.no_grad():
        expected = padded_logits(network, images).softmax(1)
        torch.testing.assert_close(padded_logits(without, images).exp(), expected, rtol=1e-4, atol=1e-6)


def test_the_control_is_the_network_itself():
    network = small_network()
    assert with_crf(network, section(type="control"), 2) is network


def features_by_hand(network, images, kind):
    """Features of a tile on the network's own grid, from a hook and not from the wrapper."""
    seen = []
    handle = network.decoder.register_forward_hook(lambda *arguments: seen.append(arguments[2]))
    logits = network(images)
    handle.remove()
    return logits, {"intensity": images, "logits": None, "learned": seen[0]}[kind]


@pytest.mark.parametrize("kind", TYPES)
def test_a_predicted_tile_is_the_layer_on_the_networks_logits(kind):
    network = small_network()
    wrapped = with_crf(network, section(type=kind, **SMALL_CRF), 2).eval()
    image = np.random.default_rng(0).normal(size=(48, 64)).astype(np.float32)
    with torch.no_grad():
        logits, features = features_by_hand(network, torch.from_numpy(image)[None, None], kind)
        expected = wrapped.crf(logits, features).softmax(1)[0].numpy()
        plain = logits.softmax(1)[0].numpy()
    probability = predict(wrapped, image, tile_px=64, overlap_px=16)
    np.testing.assert_allclose(probability, expected, atol=1e-5)
    assert np.abs(probability - plain).max() > 1e-2


@pytest.mark.parametrize("kind", TYPES)
def test_a_mirrored_margin_is_no_neighbour(kind):
    network = small_network()
    wrapped = with_crf(network, section(type=kind, **SMALL_CRF), 2).eval()
    images = torch.randn(1, 1, 43, 50)
    padded = torch.nn.functional.pad(images, (0, 6, 0, 5), mode="reflect")
    with torch.no_grad():
        logits, features = features_by_hand(network, padded, kind)
        features = None if features is None else features[..., :43, :50]
        expected = wrapped.crf(logits[..., :43, :50], features)
        torch.testing.assert_close(padded_logits(wrapped, images), expected, rtol=1e-4, atol=1e-5)


def test_quarter_turns_are_averaged_after_the_crf():
    wrapped = with_crf(small_network(), section(type="intensity", **SMALL_CRF), 2).eval()
    tiles = torch.randn(1, 1, 32, 40)
    with torch.no_grad():
        turned = [
            torch.rot90(padded_logits(wrapped, torch.rot90(tiles, k, (2, 3))).softmax(1), -k, (2, 3)) for k in range(4)
        ]
        torch.testing.assert_close(tile_probabilities(wrapped, tiles, turns=True), sum(turned) / 4)


class PixelNetwork(torch.nn.Module):
    """Logits of the pixel alone, so that what differs between tilings is the CRF's doing."""

    class Encoder(torch.nn.Module):
        output_stride = 1

    def __init__(self):
        super().__init__()
        self.encoder, self.segmentation_head = self.Encoder(), torch.nn.Conv2d(1, 2, 1)

    def forward(self, images):
        return torch.cat([-images, images], dim=1)


def blobs(shape):
    """Noise on a smooth pattern with a period of 24 px, of the size of logits."""
    y, x = np.ogrid[: shape[0], : shape[1]]
    noise = np.random.default_rng(0).normal(size=shape)
    return (np.sin(y * 2 * np.pi / 24) * np.sin(x * 2 * np.pi / 24) + 0.5 * noise).astype(np.float32)


@pytest.mark.parametrize("kind", ["intensity", "logits"])
def test_tiles_differ_from_one_tile_only_a_little_and_most_at_the_seam(kind):
    crf = section(type=kind, alpha_diameters=0.32, beta=0.3, gamma_diameters=0.08, lowpass_diameters=0.08)
    wrapped = with_crf(PixelNetwork(), crf, 2)
    image = blobs((64, 160))
    whole = predict(wrapped, image, tile_px=160, overlap_px=0)[1]
    # two tiles of 96 px share columns 64 to 95, with and without ramps between them
    faded, hard = (np.abs(predict(wrapped, image, tile_px=96, overlap_px=n)[1] - whole) for n in (32, 0))
    assert faded[:, 64:96].max() == faded.max() < 0.015 < 0.03 < hard.max()
    assert faded.mean() < 5e-4
    # eight bandwidths from the end of the other tile; the second tile's grid has other nodes, worth 1e-3
    assert faded[:, :32].max() < 1e-5 and faded[:, 128:].max() < 2e-3


def test_the_learning_rates_reach_their_parameters():
    wrapped = with_crf(small_network(), section(type="learned", **SMALL_CRF), 2)
    crf = section(type="learned")
    rates = finetuning_settings(SETTINGS, crf)
    optimizer, schedule = make_optimizer(wrapped, rates, n_steps=10, crf_learning_rate=crf.crf_learning_rate)
    of_network, of_crf = optimizer.param_groups
    assert {id(p) for p in of_network["params"]} == {id(p) for p in wrapped.network.parameters()}
    assert {id(p) for p in of_crf["params"]} == {id(p) for p in wrapped.crf.parameters()}
    assert (of_network["weight_decay"], of_crf["weight_decay"]) == (SETTINGS.weight_decay, 0)
    seen = []
    for _ in range(10):
        seen.append(schedule.get_last_lr())
        optimizer.step()
        schedule.step()
    np.testing.assert_allclose(np.max(seen, axis=0), [1e-5, 1e-3], rtol=0.05)


def finetune(micrographs, crf, *, wrapped=None, resume=None):
    wrapped = wrapped or with_crf(small_network(), crf, 2)
    settings = finetuning_settings(SETTINGS, crf)
    parts = micrographs[:2], micrographs[2:]
    options = {"crf_learning_rate": crf.crf_learning_rate, "device": "cpu", "seed": 3, "resume": resume}
    return fit(wrapped, *parts, settings=settings, prediction=PREDICTION, **options)


@pytest.mark.slow
@pytest.mark.parametrize("kind", TYPES)
def test_network_and_crf_are_trained_together(kind, micrographs):
    crf = section(type=kind, **SMALL_CRF, network_learning_rate=1e-4, crf_learning_rate=1e-2)
    before = with_crf(small_network(), crf, 2).state_dict()
    state, history = finetune(micrographs, crf)
    assert len(history) == 2 and np.isfinite(history[-1]["train_loss"])
    names = {name for name in before if not torch.equal(before[name], state[name])}
    learned = {"crf.projection.weight", "crf.projection.bias"} if kind == "learned" else set()
    assert learned | {"crf.log_alpha", "crf.log_beta", "crf.log_gamma"} <= names
    assert {"crf.appearance_weights", "crf.smoothness_weights", "network.segmentation_head.0.weight"} <= names


@pytest.mark.slow
def test_a_killed_finetuning_goes_on_as_if_nothing_had_happened(micrographs, tmp_path):
    crf = section(type="logits", **SMALL_CRF | {"epochs": 3, "beta": 0.5})
    undisturbed = finetune(micrographs, crf)
    resume = Resume(tmp_path / "last_crf.pt", "same")
    # an epoch takes four steps, and one for the tiles
    killed = kill_at_forward(with_crf(small_network(), crf, 2), 8)
    with pytest.raises(Killed):
        finetune(micrographs, crf, wrapped=killed, resume=resume)
    assert resume.path.exists()
    assert_same(finetune(micrographs, crf, resume=resume), undisturbed)


@pytest.mark.parametrize("kind", TYPES)
def test_a_saved_crf_predicts_the_same(kind, tmp_path):
    wrapped = with_crf(small_network(), section(type=kind, **SMALL_CRF), 2).eval()
    with torch.no_grad():
        wrapped.crf.log_gamma += 0.3
    trained = TrainedNetwork(
        wrapped, NetworkFacts(["background", "particle"], NetworkInput(25.0, "robust", 0.0), NETWORK)
    )
    save_network(tmp_path / "crf.pt", trained, state=wrapped.state_dict())
    loaded = load_network(tmp_path / "crf.pt").network
    assert isinstance(loaded, CrfNetwork) and not loaded.training
    assert loaded.crf.settings == wrapped.crf.settings
    assert n_parameters(loaded) == n_parameters(wrapped)
    image = np.random.default_rng(1).normal(size=(40, 40)).astype(np.float32)
    options = {"tile_px": 64, "overlap_px": 0}
    # a loaded network has its weights in another layout, in which sums are rounded differently
    np.testing.assert_allclose(predict(loaded, image, **options), predict(wrapped, image, **options), atol=2e-6)


def test_a_coarser_feature_map_is_brought_to_the_logits():
    torch.manual_seed(0)
    deeplab = NETWORK.changed(architecture="deeplabv3plus", encoder="resnet18", options={})
    wrapped = with_crf(build_network(deeplab, 2), section(type="learned", **SMALL_CRF), 2).eval()
    with torch.no_grad():
        assert padded_logits(wrapped, torch.randn(1, 1, 40, 50)).shape == (1, 2, 40, 50)


def test_four_labels_take_a_crf():
    wrapped = with_crf(small_network(4), section(type="logits", **SMALL_CRF), 4).eval()
    with torch.no_grad():
        total = padded_logits(wrapped, torch.randn(1, 1, 24, 32)).exp().sum(1)
    torch.testing.assert_close(total, torch.ones_like(total))


def test_settings_that_name_no_layer_are_refused():
    with pytest.raises(UserError, match="crf/operator: grid takes one feature only"):
        CrfNetwork(small_network(), layer_settings(section(type="learned", operator="grid"), 2), 2)
    assert isinstance(with_crf(small_network(), section(type="logits"), 2).crf, CrfLayer)


@pytest.mark.parametrize("scale", [1.0, 0.2])
@pytest.mark.parametrize("kind", TYPES)
def test_the_steps_of_a_crf_are_those_of_a_prediction(kind, scale):
    network = with_crf(
        small_network(), section(type=kind, **SMALL_CRF | {"iterations": 1}, solver="mean_field"), 2
    ).eval()
    network.crf.settings = network.crf.settings.changed(unary_scale=scale)
    image = np.random.default_rng(3).normal(size=(70, 45)).astype(np.float32)
    steps = crf_steps(network, image, side_px=30)
    y, x = steps.corner
    square = torch.from_numpy(image[y : y + 30, x : x + 30].copy())[None, None]
    with torch.no_grad():
        logits = scale * padded_logits(network.network, square)
        after = padded_logits(network, square).exp()
    np.testing.assert_allclose(steps.before, logits.softmax(1)[0, 1], atol=1e-5)
    np.testing.assert_allclose(steps.after, after[0, 1], atol=1e-5)
    # one step of mean field is the sigmoid of log odds and message, mixed with the network's own
    own = network.crf.settings.initial_weight
    expected = (1 - own) / (1 + np.exp(-steps.logit - steps.message)) + own * steps.before
    np.testing.assert_allclose(steps.after, expected, atol=1e-4)
    # no other square of the grid changes more
    others = [
        _mean_change(network, image[i : i + 30, j : j + 30]) for i in (0, 30) for j in (0,) if (i, j) != steps.corner
    ]
    assert np.abs(steps.after - steps.before).mean() >= max(others)


@pytest.mark.parametrize("scale", [1.0, 0.3])
def test_a_crf_without_a_share_in_the_result_sends_no_message(scale):
    network = with_crf(small_network(), section(type="intensity", **SMALL_CRF, solver="mean_field"), 2).eval()
    network.crf.settings = network.crf.settings.changed(initial_weight=1.0, unary_scale=scale)
    image = np.random.default_rng(3).normal(size=(30, 30)).astype(np.float32)
    steps = crf_steps(network, image, side_px=30)
    assert not steps.message.any()
    np.testing.assert_allclose(steps.after, steps.before, atol=1e-6)


@pytest.mark.parametrize("n", [1, 2])
def test_too_few_features_for_their_normalisation_are_refused(n):
    with pytest.raises(ValueError, match="learned_channels"):
        section(type="learned", learned_channels=n)


def _mean_change(network, square):
    square = torch.from_numpy(np.ascontiguousarray(square))[None, None]
    with torch.no_grad():
        start = (network.crf.settings.unary_scale * padded_logits(network.network, square)).softmax(1)
        change = padded_logits(network, square).exp() - start
    return float(change[0, 1].abs().mean())
