import math

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from crisp_core.errors import UserError
from crisp_core.evaluation.curves import (
    average_precision,
    best_threshold,
    counts_at_threshold,
    counts_by_threshold,
    map_paper,
    mean_average_precision,
    threshold_for_precision,
    widen_threshold,
)
from crisp_core.evaluation.matching import match_one_to_one
from crisp_core.evaluation.scores import score_picks
from tests.evaluation.example_picks import D, random_case, scored


@pytest.mark.parametrize("seed", range(5))
def test_curve_equals_a_fresh_matching_at_every_threshold(seed):
    truth, found, scores = random_case(seed)
    score = score_picks(truth, found, scores, diameter_px=D)
    thresholds, counts = counts_by_threshold(score)
    for threshold, n_picks, n_true in zip(thresholds, counts.n_picks, counts.n_matched, strict=True):
        kept = found[scores >= threshold]
        assert len(kept) == n_picks
        assert match_one_to_one(truth, kept, max_distance_px=D / 2).value.size == n_true
        assert counts_at_threshold(score, threshold) == (60, n_picks, n_true)


def test_average_precision_agrees_with_scikit_learn():
    rng = np.random.default_rng(1)
    scores, true = rng.integers(0, 20, 300) / 19, rng.random(300) < 0.4
    expected = average_precision_score(true, scores)
    assert average_precision(scores, true, int(true.sum())) == pytest.approx(expected)
    # Truths that no pick finds lower every recall by one factor.
    assert average_precision(scores, true, 2 * int(true.sum())) == pytest.approx(expected / 2)


def test_map_paper_counts_truths_and_no_false_positive():
    # IoU of a box moved by 1 of 10 px: 0.9 / 1.1 = 0.818, which reaches 7 of the 10 levels.
    alone = scored([[0, 0], [50, 0]], [[1, 0]])
    assert map_paper(alone) == pytest.approx(0.7 / 2)
    crowded = scored([[0, 0], [50, 0]], [[1, 0], [1, 0], [90, 90], [80, 80]])
    assert map_paper(crowded) == map_paper(alone)
    assert mean_average_precision(crowded) == pytest.approx(0.7 / 2)


def test_map_paper_lets_one_pick_serve_two_truths_but_matching_does_not():
    score = scored([[0, 0], [1, 0]], [[0.5, 0]])
    # 0.5 of 10 px: IoU 0.95 / 1.05 = 0.905, nine levels, for both truths.
    assert map_paper(score) == pytest.approx(0.9)
    assert mean_average_precision(score) == pytest.approx(0.9 / 2)


def test_map_paper_at_a_threshold_uses_the_picks_kept():
    score = scored([[0, 0], [50, 0]], [[0, 0], [50, 0]], [0.9, 0.2])
    assert map_paper(score, threshold=0.5) == pytest.approx(0.5)
    assert map_paper(score) == 1


def test_average_precision_by_hand():
    # In score order: true, false, true; two truths of three found.
    score = scored([[0, 0], [30, 0], [60, 0]], [[0, 0], [90, 0], [30, 0]], [0.9, 0.8, 0.7])
    assert average_precision(score.scores, score.true, 3) == pytest.approx((1 + 2 / 3) / 3)


def test_best_threshold_and_threshold_for_a_precision():
    score = scored([[0, 0], [30, 0], [60, 0]], [[0, 0], [90, 0], [30, 0], [99, 99]], [0.9, 0.8, 0.7, 0.1])
    assert best_threshold(score) == 0.7
    assert threshold_for_precision(score, 0.6) == 0.7
    assert threshold_for_precision(score, 0.95) == 0.9
    assert math.isnan(best_threshold(scored([[0, 0]], np.zeros((0, 2)))))


def test_a_threshold_moves_halfway_to_the_next_lower_score():
    score = scored([[0, 0], [30, 0]], [[0, 0], [30, 0], [99, 99]], [0.9, 0.7, 0.1])
    assert widen_threshold(score, 0.7) == pytest.approx(0.4)
    assert widen_threshold(score, 0.1) == 0.1
    assert widen_threshold(score, 0.1, lowest=0.05) == pytest.approx(0.075)
    assert widen_threshold(score, 0.7, lowest=0.05) == pytest.approx(0.4)
    assert math.isnan(widen_threshold(score, math.nan, lowest=0.05))


def test_unreachable_precision_is_said():
    with pytest.raises(UserError) as error:
        threshold_for_precision(scored([[0, 0]], [[50, 0], [0, 0]]), 0.9)
    assert str(error.value) == (
        "target precision: no threshold has a precision of 0.9 (the highest is 0.500); lower it"
    )


def test_picks_without_score_rank_last_and_together():
    score = scored([[0, 0], [30, 0]], [[0, 0], [30, 0], [60, 0]], [math.nan, 0.5, math.nan])
    assert average_precision(score.scores, score.true, 2) == pytest.approx(1 / 2 + 1 / 2 * 2 / 3)
    assert map_paper(score) == 1
