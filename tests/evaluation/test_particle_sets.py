import numpy as np
import pandas as pd
import pytest

from crisp_core.errors import UserError
from crisp_core.evaluation import particle_sets as sets
from crisp_core.evaluation.particle_sets import assign_halves
from crisp_core.formats.relion_labels import CTF_LABELS
from crisp_core.reconstruction.half_maps import HALF
from tests.evaluation.example_particles import RLN_ANGLES, RLN_ORIGINS, SHAPE, true_particles

PIXEL_SIZE, DIAMETER_PX = 2.0, 40.0
OPTIONS = {"diameter_px": DIAMETER_PX, "pixel_size": PIXEL_SIZE, "seed": 4}


@pytest.fixture(scope="module")
def truth():
    return pd.concat([true_particles("m1", seed=1), true_particles("m2", seed=2)], ignore_index=True)


@pytest.fixture(scope="module")
def picks(truth):
    """Every pick a few pixels off, in another order; five of them nowhere, and ten particles missed."""
    rng = np.random.default_rng(3)
    table = truth[["micrograph", "x", "y"]].assign(score=rng.uniform(size=len(truth)))
    table[["x", "y"]] += rng.uniform(-8, 8, (len(table), 2))
    nowhere = table.iloc[:5] + pd.DataFrame({"micrograph": "", "x": 60.0, "y": 55.0, "score": 0.0}, index=range(5))
    return pd.concat([table.iloc[10:], nowhere]).sample(frac=1, random_state=0, ignore_index=True)


@pytest.fixture(scope="module")
def particles(truth, picks):
    shapes = {"m1": SHAPE, "m2": SHAPE}
    return sets.simulated_particles({"picks": picks}, truth, shapes, false_share=0.5, **OPTIONS)


def test_a_picks_axis_is_that_of_its_particle(truth, particles):
    own = particles[particles["crispSet"] == "picks"]
    true = own[own["crispTrue"] == 1]
    assert (len(own), len(true)) == (55, 50)
    # position minus origin is where the particle is
    axis = true[["x", "y"]].to_numpy() - true[RLN_ORIGINS].to_numpy() / PIXEL_SIZE
    distance = np.linalg.norm(axis[:, None] - truth[["x", "y"]].to_numpy(), axis=2)
    assert distance.min(axis=1).max() < 1e-9
    nearest = truth.iloc[distance.argmin(axis=1)]
    np.testing.assert_array_equal(true[[*RLN_ANGLES, *CTF_LABELS]], nearest[[*RLN_ANGLES, *CTF_LABELS]])
    assert (own[["x", "y"]] % 1 == 0).all(axis=None)


def test_false_picks_have_their_micrographs_defocus(particles):
    false = particles[particles["crispTrue"] == 0]
    assert set(false["crispSet"]) == {"picks", "false"}
    assert (false["rlnDefocusU"] == false["micrograph"].map({"m1": 15001.0, "m2": 15002.0})).all()


def test_false_places_are_away_from_every_particle(truth, particles):
    places = particles[particles["crispSet"] == "false"]
    assert places.groupby("micrograph").size().to_dict() == {"m1": 15, "m2": 15}
    for name, own in places.groupby("micrograph"):
        true = truth.loc[truth["micrograph"] == name, ["x", "y"]].to_numpy()
        assert np.linalg.norm(own[["x", "y"]].to_numpy()[:, None] - true, axis=2).min() > DIAMETER_PX / 2


def test_a_micrograph_draws_the_same_alone_or_beside_others(truth, picks, particles):
    alone = sets.simulated_particles({"picks": picks}, truth, {"m2": SHAPE}, false_share=0.5, **OPTIONS)
    beside = particles[particles["micrograph"] == "m2"].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone, beside)


def test_a_micrograph_without_particles_gives_none(truth, picks):
    shapes = {"m1": SHAPE, "empty": SHAPE}
    stray = pd.DataFrame({"micrograph": ["empty"], "x": [50.0], "y": [50.0], "score": [0.5]})
    made = sets.simulated_particles({"picks": pd.concat([picks, stray])}, truth, shapes, false_share=0.5, **OPTIONS)
    assert set(made["micrograph"]) == {"m1"}


def test_a_batch_without_any_of_the_micrographs_gives_no_particle(truth, picks, particles):
    made = sets.simulated_particles({"picks": picks}, truth, {}, false_share=0.5, **OPTIONS)
    assert made.empty and list(made) == list(particles)


def test_sets_are_equal_in_size_and_hold_their_share_of_false_picks(particles):
    names = ["truth", "picks", "false-10", "false-50"]
    shares = {"false-10": 0.1, "false-50": 0.5}
    made = sets.particle_sets(particles, names, false_shares=shares, n_particles=None, seed=1)
    assert [(name, len(table)) for name, table in made.items()] == [(name, 55) for name in names]
    n_false = {name: int((table["crispTrue"] == 0).sum()) for name, table in made.items()}
    assert n_false == {"truth": 0, "picks": 5, "false-10": 6, "false-50": 28}
    for table in made.values():
        assert table[HALF].value_counts().to_dict() == {1: 28, 2: 27}
        assert table.index.is_monotonic_increasing and table.index.is_unique


def test_seeds_draw_their_own_subsets_halves_and_false_angles(particles):
    one, again, other = (
        sets.particle_sets(particles, ["truth", "false-50"], false_shares={"false-50": 0.5}, n_particles=40, seed=seed)[
            "false-50"
        ]
        for seed in (1, 1, 2)
    )
    pd.testing.assert_frame_equal(one, again)
    assert set(one.index) != set(other.index)
    both = one.index.intersection(other.index)
    true = one.loc[both, "crispTrue"] == 1
    changed = (one.loc[both, RLN_ANGLES] != other.loc[both, RLN_ANGLES]).all(axis=1)
    assert (changed == ~true).all() and true.any() and not true.all()
    assert (one.loc[both, HALF] != other.loc[both, HALF]).any()


def test_false_picks_look_everywhere():
    false = pd.DataFrame({"crispTrue": np.zeros(4000, dtype=int)})
    false[RLN_ANGLES] = 0.0
    angles = assign_halves(false, np.random.default_rng(0))[RLN_ANGLES].to_numpy()
    assert abs(np.cos(np.radians(angles[:, 1])).mean()) < 0.03
    assert abs(np.exp(1j * np.radians(angles[:, [0, 2]])).mean(axis=0)).max() < 0.05


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"names": ["truth", "topaz"]},
            r"resolution/n_particles: is 0, but the set topaz has 0 particles and a set needs",
        ),
        ({"n_particles": 56}, r"resolution/n_particles: is 56, but the set picks has 55 particles and a set needs"),
        ({"n_particles": 1}, r"resolution/n_particles: is 1, but the set picks has 55 particles and a set needs"),
        (
            {"false_shares": {"false-90": 0.9}},
            r"resolution/false_shares: need 50 false picks, but there is room for 30; lower them",
        ),
    ],
)
def test_sets_that_cannot_be_drawn_are_refused(particles, options, message):
    with pytest.raises(UserError, match=f"^{message}"):
        given = {"names": ["truth", "picks"], "false_shares": {}, "n_particles": None} | options
        names = [*given.pop("names"), *given["false_shares"]]
        sets.particle_sets(particles, names, seed=1, **given)
