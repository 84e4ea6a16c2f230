import math

import numpy as np
import pytest

from crisp_core.errors import UserError
from crisp_core.evaluation.scores import PickCounts, bootstrap_f1, f1, score_micrographs
from tests.evaluation.example_picks import D, example_tables, scored


def test_duplicates_are_unmatched_picks_on_a_found_particle():
    score = scored([[0, 0], [30, 0]], [[0, 0], [1, 0], [2, 0], [30, 0], [60, 0]])
    assert score.counts == (2, 5, 2)
    assert score.duplicates == 2


def test_two_truths_near_one_pick_are_found_once():
    score = scored([[0, 0], [4, 0]], [[2, 0]])
    assert score.counts == (2, 1, 1)
    assert score.duplicates == 0
    assert float(f1(score.counts)) == pytest.approx(2 / 3)


def test_stricter_distances_and_crowded_recall():
    score = scored([[0, 0], [9, 0], [40, 0]], [[1.25, 0], [9, 5.1], [40, 3]])
    assert score.counts.n_matched == 2
    assert score.n_stricter.tolist() == [2, 1, 1]
    assert (score.n_crowded, score.n_crowded_matched) == (2, 1)


def test_bootstrap_interval_is_seeded_and_brackets_the_pooled_f1():
    rng = np.random.default_rng(0)
    truths = rng.integers(50, 150, 40)
    counts = PickCounts(truths, truths + rng.integers(0, 20, 40), rng.binomial(truths, 0.8))
    low, high = bootstrap_f1(counts, seed=5)
    f1s = f1(counts)
    assert (low, high) == bootstrap_f1(counts, seed=5)
    assert low < float(f1(PickCounts(*(c.sum() for c in counts)))) < high
    macro_low, macro_high = bootstrap_f1(counts, macro=True)
    # The standard error of a mean, as the closed form gives it.
    assert macro_high - macro_low == pytest.approx(2 * 1.96 * f1s.std() / math.sqrt(40), rel=0.1)
    assert all(math.isnan(x) for x in bootstrap_f1(PickCounts(*(c[:1] for c in counts))))


def test_identical_micrographs_have_an_interval_of_no_width():
    same = PickCounts(np.full(5, 10), np.full(5, 10), np.full(5, 8))
    assert bootstrap_f1(same) == pytest.approx((0.8, 0.8))


def test_missing_column_is_named():
    truth, found = example_tables()
    with pytest.raises(UserError) as error:
        score_micrographs(truth, found.drop(columns="score"), ["a"], diameter_px=D)
    assert str(error.value) == "table of picks: the column score is missing; add it"


def test_not_finite_coordinate_is_refused():
    truth, found = example_tables()
    found.loc[0, "x"] = math.nan
    with pytest.raises(UserError) as error:
        score_micrographs(truth, found, ["a"], diameter_px=D)
    assert "table of picks: a coordinate is not a finite number" in str(error.value)
