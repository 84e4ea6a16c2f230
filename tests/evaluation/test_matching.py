import itertools
import time

import numpy as np
import pandas as pd
import pytest

from crisp_core.evaluation.matching import find_overlapping_boxes, flag_matched_rows, match_one_to_one
from tests.evaluation.example_picks import D, scored


def brute_force(truth, found, reach):
    """Most pairs, then least total distance, over all one-to-one pairings."""
    distance = np.linalg.norm(truth[:, None] - found[None], axis=-1)
    best = (0, 0.0)
    for size in range(1, min(len(truth), len(found)) + 1):
        for rows in itertools.combinations(range(len(truth)), size):
            for columns in itertools.permutations(range(len(found)), size):
                chosen = distance[list(rows), list(columns)]
                if (chosen <= reach).all():
                    best = min(best, (-size, chosen.sum()))
    return -best[0], best[1]


@pytest.mark.parametrize("seed", range(30))
def test_matching_is_the_best_of_all_pairings(seed):
    rng = np.random.default_rng(seed)
    truth, found = rng.uniform(0, 12, (rng.integers(0, 5), 2)), rng.uniform(0, 12, (rng.integers(0, 6), 2))
    pairs = match_one_to_one(truth, found, max_distance_px=5)
    assert (pairs.value.size, pairs.value.sum()) == pytest.approx(brute_force(truth, found, 5))
    assert np.unique(pairs.truth).size == np.unique(pairs.pick).size == pairs.truth.size
    np.testing.assert_allclose(pairs.value, np.linalg.norm(truth[pairs.truth] - found[pairs.pick], axis=1))


def test_more_pairs_win_over_nearer_pairs():
    pairs = match_one_to_one(np.array([[0, 0], [6, 0]]), np.array([[-5, 0], [1, 0]]), max_distance_px=5)
    assert list(zip(pairs.truth, pairs.pick, strict=True)) == [(0, 0), (1, 1)]


@pytest.mark.parametrize(("x", "n"), [(5.0, 1), (5.001, 0)])
def test_distance_limit_is_inclusive(x, n):
    assert scored([[0, 0]], [[x, 0]]).counts.n_matched == n


def test_two_thousand_against_two_thousand_within_a_second():
    rng = np.random.default_rng(0)
    truth = rng.uniform(0, 4096, (2000, 2))
    found = truth + rng.normal(0, 30, truth.shape)
    start = time.process_time()
    assert match_one_to_one(truth, found, max_distance_px=54).value.size > 1500
    assert time.process_time() - start < 1


def shifted_iou(dx, dy):
    inter = max(0, D - abs(dx)) * max(0, D - abs(dy))
    return inter / (2 * D * D - inter)


def test_box_iou_of_equal_squares():
    truth, found = np.zeros((1, 2)), np.array([[0, 0], [1, 2], [-3, 0], [3.4, 0], [0, 10 / 3]])
    pairs = find_overlapping_boxes(truth, found, box_px=D)
    expected = [(i, shifted_iou(*xy)) for i, xy in enumerate(found) if shifted_iou(*xy) >= 0.5 - 1e-9]
    np.testing.assert_array_equal(pairs.pick, [i for i, _ in expected])
    np.testing.assert_allclose(pairs.value, [value for _, value in expected])
    assert [i for i, _ in expected] == [0, 1, 2, 4]


def test_flags_say_who_has_a_partner():
    truth = pd.DataFrame({"x": [0.0, 50.0], "y": [0.0, 0.0]})
    found = pd.DataFrame({"x": [49.0, 52.0, 0.0], "y": [0.0, 0.0, 30.0]})
    true, flagged = flag_matched_rows(truth, found, diameter_px=20)
    assert true["matched"].tolist() == [False, True]
    assert flagged["matched"].tolist() == [True, False, False]
