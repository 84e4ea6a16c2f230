import pytest
import torch
from pydantic import ValidationError
from torch.autograd import gradcheck

from crisp_core.errors import UserError
from crisp_core.segmentation.crf.dense import brute_kernel
from crisp_core.segmentation.crf.kernels import gaussian_kernel, normalized_filter
from crisp_core.segmentation.crf.layer import CrfLayer, low_pass_images, normalize_over_channels
from crisp_core.segmentation.crf.settings import LayerSettings
from crisp_core.segmentation.crf.solvers import Solver, Term, mean_field, solve

CHANNELS = 6
# every kind of features with the operators that can do it
KINDS = [
    ("intensity", "grid"),
    ("intensity", "pooled"),
    ("intensity", "brute"),
    ("logits", "grid"),
    ("logits", "pooled"),
    ("learned", "pooled"),
    ("learned", "brute"),
]
SOLVERS = [
    {"solver": "mean_field"},
    {"solver": "frank_wolfe"},
    {"solver": "frank_wolfe", "regularizer": "negentropy", "step_rule": "learnable"},
    {"solver": "frank_wolfe", "step_rule": "line_search", "initial_weight": 0.0},
]


def make_layer(n_labels=2, **changes):
    small = {"alpha_px": 9.0, "beta": 0.4, "gamma_px": 1.5, "stride_px": 2, "learned_channels": 4}
    return CrfLayer(LayerSettings(**small | changes), n_labels, feature_channels=CHANNELS)


def make_inputs(kind, *, batch=2, n_labels=2, shape=(10, 12)):
    channels = CHANNELS if kind == "learned" else 1
    return torch.randn(batch, n_labels, *shape) * 2, torch.randn(batch, channels, *shape)


def test_the_published_settings_are_the_equations_of_the_paper():
    logits, _ = make_inputs("logits")
    layer = CrfLayer(LayerSettings(operator="brute", alpha_px=160.0, gamma_px=3.0), 2)
    kernels = (gaussian_kernel(3.0), brute_kernel(logits, 160.0, 0.05))
    filters = [normalized_filter(kernel, logits, "symmetric").apply for kernel in kernels]
    terms = [Term(f, -torch.eye(2)) for f in filters]
    expected = solve(logits, terms, Solver("l2", 1.0, (1.0,) * 5, 0.5))
    torch.testing.assert_close(layer(logits), expected, rtol=1e-4, atol=1e-5)


def test_mean_field_keeps_no_share_of_the_networks_own_probabilities():
    logits, image = make_inputs("intensity")
    layer = make_layer(features="intensity", solver="mean_field")
    torch.testing.assert_close(layer(logits, image), solve(logits, layer.terms(logits, image), mean_field(5)))


def test_for_two_opposite_logits_the_grids_one_feature_is_the_papers_two():
    logits = torch.randn(1, 1, 24, 24) * 0.3
    logits = torch.cat([-logits, logits], dim=1)
    exact, one = (make_layer(operator=operator, grid_samples=4)(logits).exp() for operator in ("brute", "grid"))
    assert (one - exact).abs().mean() < 2e-3


@pytest.mark.parametrize("couplings", ["potts", "full"])
@pytest.mark.parametrize("weight", [0.01, 1.0, 30.0])
def test_couplings_start_at_the_weight_of_the_settings(couplings, weight):
    layer = make_layer(3, features="learned", operator="pooled", couplings=couplings, smoothness=weight)
    torch.testing.assert_close(layer.coupling(layer.smoothness_weights), -weight * torch.eye(3))


@pytest.mark.parametrize("couplings", ["potts", "full"])
def test_a_label_never_repels_itself_whatever_is_learned(couplings):
    layer = make_layer(couplings=couplings)
    optimizer = torch.optim.SGD(layer.parameters(), lr=10.0)
    before = layer.coupling(layer.smoothness_weights)
    for _ in range(5):
        optimizer.zero_grad()
        layer.coupling(layer.smoothness_weights).trace().neg().backward()
        optimizer.step()
    after = layer.coupling(layer.smoothness_weights)
    assert (before.diagonal() < after.diagonal()).all()
    assert (after.diagonal() < 0).all()


def test_couplings_are_symmetric_under_symmetric_normalisation_only():
    for normalization, symmetric in (("symmetric", True), ("row", False)):
        layer = make_layer(couplings="full", normalization=normalization)
        torch.nn.init.normal_(layer.appearance_weights)
        coupling = layer.coupling(layer.appearance_weights)
        assert torch.equal(coupling, coupling.T) == symmetric


def test_without_couplings_mean_field_returns_the_softmax():
    logits, image = make_inputs("intensity")
    layer = make_layer(appearance=0, smoothness=0, solver="mean_field")
    assert not layer.terms(logits, image)
    torch.testing.assert_close(layer(logits), logits.log_softmax(1))


@pytest.mark.parametrize(("features", "operator"), KINDS)
@pytest.mark.parametrize("solver", SOLVERS)
def test_a_tile_alone_gives_what_it_gives_in_a_batch(features, operator, solver):
    layer = make_layer(features=features, operator=operator, **solver)
    logits, inputs = make_inputs(features, batch=3)
    together = layer(logits, inputs)
    alone = torch.cat([layer(logits[i : i + 1], inputs[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("features", "operator"), KINDS)
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("shape", [(9, 7), (1, 16), (16, 1), (1, 1)])
def test_constant_images_and_certain_logits_stay_finite(features, operator, solver, shape):
    layer = make_layer(features=features, operator=operator, beta=0.05, **solver)
    logits, inputs = make_inputs(features, shape=shape)
    logits = (logits.sign() * 50).requires_grad_()
    result = layer(logits, torch.ones_like(inputs))
    result[:, 0].sum().backward()
    tensors = [result, logits.grad, *(p.grad for p in layer.parameters() if p.grad is not None)]
    assert all(torch.isfinite(t).all() for t in tensors)
    torch.testing.assert_close(result.exp().sum(1), torch.ones_like(result[:, 0]))


@pytest.mark.parametrize(("features", "operator"), KINDS)
@pytest.mark.parametrize("couplings", ["potts", "full"])
def test_gradients_reach_every_parameter_and_input(features, operator, couplings):
    layer = make_layer(features=features, operator=operator, couplings=couplings)
    logits, inputs = (t.requires_grad_() for t in make_inputs(features))
    layer(logits, inputs)[:, 1].mean().backward()
    expected = [logits, *layer.parameters(), *([] if features == "logits" else [inputs])]
    assert all(t.grad is not None and t.grad.abs().sum() > 0 for t in expected)


def test_the_kernel_can_be_kept_from_learning():
    layer = make_layer(learn_kernel=False, features="intensity")
    logits, image = (t.requires_grad_() for t in make_inputs("intensity"))
    layer(logits, image)[:, 1].mean().backward()
    assert image.grad is None
    assert {name for name, p in layer.named_parameters() if p.requires_grad} == {
        "appearance_weights",
        "smoothness_weights",
    }


@pytest.mark.parametrize(("features", "n_labels"), [("learned", 2), ("learned", 3), ("logits", 3)])
@pytest.mark.parametrize("solver", SOLVERS[:3])
def test_gradients_of_the_whole_layer(features, n_labels, solver):
    layer = make_layer(n_labels, features=features, operator="pooled", couplings="full", iterations=2, **solver)
    layer.double()
    logits, inputs = make_inputs(features, batch=1, n_labels=n_labels, shape=(3, 4))
    names, values = zip(*layer.named_parameters(), strict=True)

    def outputs(logits, inputs, *parameters):
        state = dict(zip(names, parameters, strict=True))
        return torch.func.functional_call(layer, state, (logits, inputs))

    inputs = [logits.double() * 0.3, inputs.double(), *values]
    assert gradcheck(outputs, [i.detach().requires_grad_() for i in inputs], atol=1e-5, fast_mode=True)


@pytest.mark.parametrize("couplings", ["potts", "full"])
def test_a_saved_layer_gives_the_same(couplings, tmp_path):
    settings = {"features": "learned", "operator": "pooled", "step_rule": "learnable", "couplings": couplings}
    layer, other = make_layer(**settings), make_layer(**settings, alpha_px=3.0, smoothness=7.0)
    logits, inputs = make_inputs("learned")
    torch.save({"settings": layer.settings.plain(), "state": layer.state_dict()}, tmp_path / "crf.pt")
    saved = torch.load(tmp_path / "crf.pt", weights_only=True)
    other.load_state_dict(saved["state"])
    assert torch.equal(other(logits, inputs), layer(logits, inputs))
    rebuilt = CrfLayer(LayerSettings.of(saved["settings"]), 2, feature_channels=CHANNELS)
    rebuilt.load_state_dict(saved["state"])
    assert torch.equal(rebuilt(logits, inputs), layer(logits, inputs))


def test_learned_features_sort_out_what_the_logits_cannot_tell():
    torch.manual_seed(1)
    truth = low_pass_images(torch.randn(1, 1, 32, 32), 3.0) > 0
    features = torch.randn(1, CHANNELS, 32, 32)
    features[:, 2:3] += truth * 4.0
    logits = torch.randn(1, 2, 32, 32) + torch.cat([~truth, truth], dim=1) * 0.5
    layer = make_layer(features="learned", operator="pooled", stride_px=1, beta=0.7, alpha_px=20.0)
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.05)
    losses = []
    for _ in range(15):
        loss = torch.nn.functional.nll_loss(layer(logits, features), truth[:, 0].long())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    alone = torch.nn.functional.cross_entropy(logits, truth[:, 0].long()).item()
    assert losses[-1] < 0.8 * losses[0]
    assert losses[-1] < 0.7 * alone


def test_a_smaller_feature_map_is_interpolated():
    layer = make_layer(features="learned", operator="pooled")
    logits, _ = make_inputs("learned", shape=(12, 16))
    assert layer(logits, torch.randn(2, CHANNELS, 3, 4)).shape == logits.shape


def test_learned_features_have_unit_variance_whatever_the_scale():
    features = torch.randn(2, 4, 5, 5) * 30
    torch.testing.assert_close(normalize_over_channels(features), normalize_over_channels(features * 100 + 7))
    variance = normalize_over_channels(features).var(1, unbiased=False)
    torch.testing.assert_close(variance, torch.ones_like(variance), rtol=1e-3, atol=0)


def test_autocast_does_not_reach_into_the_layer():
    layer = make_layer(features="intensity")
    logits, image = make_inputs("intensity")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = layer(logits.bfloat16(), image)
    assert torch.equal(inside, layer(logits.bfloat16().float(), image))


@pytest.mark.parametrize(
    "change", [{"operator": "lattice"}, {"alhpa": 3}, {"beta": 0}, {"iterations": -1}, {"initial_weight": 1.5}]
)
def test_wrong_settings_are_refused(change):
    with pytest.raises(ValidationError):
        make_layer(**change)


def test_the_grid_takes_one_feature():
    with pytest.raises(UserError, match="crf/operator: grid takes one feature only; give pooled"):
        make_layer(features="learned")


def test_missing_inputs_are_named():
    with pytest.raises(ValueError, match="learned needs feature_channels"):
        CrfLayer(LayerSettings(features="learned", operator="pooled"), 2)
    with pytest.raises(ValueError, match="intensity needs the image"):
        make_layer(features="intensity")(torch.zeros(1, 2, 4, 4))


@pytest.mark.gpu
@pytest.mark.parametrize(("features", "operator"), KINDS)
@pytest.mark.parametrize("solver", SOLVERS)
def test_cpu_and_gpu_agree(features, operator, solver):
    layer = make_layer(features=features, operator=operator, **solver)
    logits, inputs = make_inputs(features, shape=(60, 64))
    on_cpu = layer(logits, inputs).exp()
    on_gpu = layer.cuda()(logits.cuda(), inputs.cuda()).exp().cpu()
    torch.testing.assert_close(on_gpu, on_cpu, rtol=0, atol=1e-4)
