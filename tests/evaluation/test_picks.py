import itertools
import math
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import interp1d
from sklearn.metrics import average_precision_score

from crisp_core.errors import UserError
from crisp_core.evaluation import scores as picks
from crisp_core.evaluation.scores import (
    PickCounts,
    curve_table,
    flag_matched,
    match,
    picks_table,
    pooled_picks,
    score_picks,
)
from crisp_core.formats.star import read_coordinates_star, write_coordinates_star

D = 10.0


def measures_of(score, pixel_size):
    return picks._measures(score, score, pixel_size)


def scored(truth, found, scores=None, **options):
    scores = np.linspace(1, 0.5, len(found)) if scores is None else scores
    return score_picks(np.array(truth), np.array(found), np.array(scores), diameter_px=D, **options)


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


def random_case(seed, n=60, m=80, side=60):
    rng = np.random.default_rng(seed)
    return rng.uniform(0, side, (n, 2)), rng.uniform(0, side, (m, 2)), rng.integers(0, 12, m) / 11


@pytest.mark.parametrize("seed", range(30))
def test_matching_is_the_best_of_all_pairings(seed):
    rng = np.random.default_rng(seed)
    truth, found = rng.uniform(0, 12, (rng.integers(0, 5), 2)), rng.uniform(0, 12, (rng.integers(0, 6), 2))
    pairs = match(truth, found, max_distance_px=5)
    assert (pairs.value.size, pairs.value.sum()) == pytest.approx(brute_force(truth, found, 5))
    assert np.unique(pairs.truth).size == np.unique(pairs.pick).size == pairs.truth.size
    np.testing.assert_allclose(pairs.value, np.linalg.norm(truth[pairs.truth] - found[pairs.pick], axis=1))


def test_more_pairs_win_over_nearer_pairs():
    pairs = match(np.array([[0, 0], [6, 0]]), np.array([[-5, 0], [1, 0]]), max_distance_px=5)
    assert list(zip(pairs.truth, pairs.pick, strict=True)) == [(0, 0), (1, 1)]


@pytest.mark.parametrize(("x", "n"), [(5.0, 1), (5.001, 0)])
def test_distance_limit_is_inclusive(x, n):
    assert scored([[0, 0]], [[x, 0]]).counts.n_matched == n


def test_two_thousand_against_two_thousand_within_a_second():
    rng = np.random.default_rng(0)
    truth = rng.uniform(0, 4096, (2000, 2))
    found = truth + rng.normal(0, 30, truth.shape)
    start = time.process_time()
    assert match(truth, found, max_distance_px=54).value.size > 1500
    assert time.process_time() - start < 1


@given(seed=st.integers(0, 10**6), shift=st.permutations(range(8)))
@settings(max_examples=40, deadline=None)
def test_order_of_rows_changes_no_measure(seed, shift):
    truth, found, scores = random_case(seed, 8, 8, side=20)
    first = measures_of(score_picks(truth, found, scores, diameter_px=D), 1.5)
    second = measures_of(score_picks(truth[shift], found[shift][::-1], scores[shift][::-1], diameter_px=D), 1.5)
    assert first == pytest.approx(second, nan_ok=True)


@pytest.mark.parametrize("seed", range(5))
def test_curve_equals_a_fresh_matching_at_every_threshold(seed):
    truth, found, scores = random_case(seed)
    score = score_picks(truth, found, scores, diameter_px=D)
    thresholds, counts = picks.curve_counts(score)
    for threshold, n_picks, n_true in zip(thresholds, counts.n_picks, counts.n_matched, strict=True):
        kept = found[scores >= threshold]
        assert len(kept) == n_picks
        assert match(truth, kept, max_distance_px=D / 2).value.size == n_true
        assert picks.counts_at(score, threshold) == (60, n_picks, n_true)


def test_average_precision_agrees_with_scikit_learn():
    rng = np.random.default_rng(1)
    scores, true = rng.integers(0, 20, 300) / 19, rng.random(300) < 0.4
    expected = average_precision_score(true, scores)
    assert picks.average_precision(scores, true, int(true.sum())) == pytest.approx(expected)
    # Truths that no pick finds lower every recall by one factor.
    assert picks.average_precision(scores, true, 2 * int(true.sum())) == pytest.approx(expected / 2)


def test_duplicates_are_unmatched_picks_on_a_found_particle():
    score = scored([[0, 0], [30, 0]], [[0, 0], [1, 0], [2, 0], [30, 0], [60, 0]])
    assert score.counts == (2, 5, 2)
    assert score.duplicates == 2


def test_two_truths_near_one_pick_are_found_once():
    score = scored([[0, 0], [4, 0]], [[2, 0]])
    assert score.counts == (2, 1, 1)
    assert score.duplicates == 0
    assert float(picks.f1(score.counts)) == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("truth", "found", "precision", "recall", "f1", "auprc", "paper"),
    [
        ([[0, 0]], np.zeros((0, 2)), math.nan, 0, 0, 0, 0),
        (np.zeros((0, 2)), [[0, 0]], 0, math.nan, 0, math.nan, math.nan),
        (np.zeros((0, 2)), np.zeros((0, 2)), 1, 1, 1, 1, math.nan),
    ],
    ids=["no picks", "no truths", "neither"],
)
def test_empty_sides(truth, found, precision, recall, f1, auprc, paper):
    measures = measures_of(scored(truth, found), 1.0)
    names = ["precision", "recall", "f1", "auprc", "map_paper"]
    assert [measures[name] for name in names] == pytest.approx([precision, recall, f1, auprc, paper], nan_ok=True)


def shifted_iou(dx, dy):
    inter = max(0, D - abs(dx)) * max(0, D - abs(dy))
    return inter / (2 * D * D - inter)


def test_box_iou_of_equal_squares():
    truth, found = np.zeros((1, 2)), np.array([[0, 0], [1, 2], [-3, 0], [3.4, 0], [0, 10 / 3]])
    pairs = picks.box_pairs(truth, found, box_px=D)
    expected = [(i, shifted_iou(*xy)) for i, xy in enumerate(found) if shifted_iou(*xy) >= 0.5 - 1e-9]
    np.testing.assert_array_equal(pairs.pick, [i for i, _ in expected])
    np.testing.assert_allclose(pairs.value, [value for _, value in expected])
    assert [i for i, _ in expected] == [0, 1, 2, 4]


def test_map_paper_counts_truths_and_no_false_positive():
    # IoU of a box moved by 1 of 10 px: 0.9 / 1.1 = 0.818, which reaches 7 of the 10 levels.
    alone = scored([[0, 0], [50, 0]], [[1, 0]])
    assert picks.map_paper(alone) == pytest.approx(0.7 / 2)
    crowded = scored([[0, 0], [50, 0]], [[1, 0], [1, 0], [90, 90], [80, 80]])
    assert picks.map_paper(crowded) == picks.map_paper(alone)
    assert picks.mean_average_precision(crowded) == pytest.approx(0.7 / 2)


def test_map_paper_lets_one_pick_serve_two_truths_but_matching_does_not():
    score = scored([[0, 0], [1, 0]], [[0.5, 0]])
    # 0.5 of 10 px: IoU 0.95 / 1.05 = 0.905, nine levels, for both truths.
    assert picks.map_paper(score) == pytest.approx(0.9)
    assert picks.mean_average_precision(score) == pytest.approx(0.9 / 2)


def test_map_paper_at_a_threshold_uses_the_picks_kept():
    score = scored([[0, 0], [50, 0]], [[0, 0], [50, 0]], [0.9, 0.2])
    assert picks.map_paper(score, threshold=0.5) == pytest.approx(0.5)
    assert picks.map_paper(score) == 1


def test_average_precision_by_hand():
    # In score order: true, false, true; two truths of three found.
    score = scored([[0, 0], [30, 0], [60, 0]], [[0, 0], [90, 0], [30, 0]], [0.9, 0.8, 0.7])
    assert picks.average_precision(score.scores, score.true, 3) == pytest.approx((1 + 2 / 3) / 3)


def test_best_threshold_and_threshold_for_a_precision():
    score = scored([[0, 0], [30, 0], [60, 0]], [[0, 0], [90, 0], [30, 0], [99, 99]], [0.9, 0.8, 0.7, 0.1])
    assert picks.best_threshold(score) == 0.7
    assert picks.threshold_for_precision(score, 0.6) == 0.7
    assert picks.threshold_for_precision(score, 0.95) == 0.9
    assert math.isnan(picks.best_threshold(scored([[0, 0]], np.zeros((0, 2)))))


def test_a_threshold_moves_halfway_to_the_next_lower_score():
    score = scored([[0, 0], [30, 0]], [[0, 0], [30, 0], [99, 99]], [0.9, 0.7, 0.1])
    assert picks.midway_below(score, 0.7) == pytest.approx(0.4)
    assert picks.midway_below(score, 0.1) == 0.1
    assert picks.midway_below(score, 0.1, lowest=0.05) == pytest.approx(0.075)
    assert picks.midway_below(score, 0.7, lowest=0.05) == pytest.approx(0.4)
    assert math.isnan(picks.midway_below(score, math.nan, lowest=0.05))


def test_unreachable_precision_is_said():
    with pytest.raises(UserError) as error:
        picks.threshold_for_precision(scored([[0, 0]], [[50, 0], [0, 0]]), 0.9)
    assert str(error.value) == (
        "No score threshold reaches a precision of 0.9 (the highest is 0.500): lower the target precision."
    )


def test_picks_without_score_rank_last_and_together():
    score = scored([[0, 0], [30, 0]], [[0, 0], [30, 0], [60, 0]], [math.nan, 0.5, math.nan])
    assert picks.average_precision(score.scores, score.true, 2) == pytest.approx(1 / 2 + 1 / 2 * 2 / 3)
    assert picks.map_paper(score) == 1


def test_stricter_distances_and_crowded_recall():
    score = scored([[0, 0], [9, 0], [40, 0]], [[1.25, 0], [9, 5.1], [40, 3]])
    assert score.counts.n_matched == 2
    assert score.n_stricter.tolist() == [2, 1, 1]
    assert (score.n_crowded, score.n_crowded_matched) == (2, 1)


def test_bootstrap_interval_is_seeded_and_brackets_the_pooled_f1():
    rng = np.random.default_rng(0)
    truths = rng.integers(50, 150, 40)
    counts = PickCounts(truths, truths + rng.integers(0, 20, 40), rng.binomial(truths, 0.8))
    low, high = picks.bootstrap_f1(counts, seed=5)
    f1s = picks.f1(counts)
    assert (low, high) == picks.bootstrap_f1(counts, seed=5)
    assert low < float(picks.f1(PickCounts(*(c.sum() for c in counts)))) < high
    macro_low, macro_high = picks.bootstrap_f1(counts, macro=True)
    # The standard error of a mean, as the closed form gives it.
    assert macro_high - macro_low == pytest.approx(2 * 1.96 * f1s.std() / math.sqrt(40), rel=0.1)
    assert all(math.isnan(x) for x in picks.bootstrap_f1(PickCounts(*(c[:1] for c in counts))))


def test_identical_micrographs_have_an_interval_of_no_width():
    same = PickCounts(np.full(5, 10), np.full(5, 10), np.full(5, 8))
    assert picks.bootstrap_f1(same) == pytest.approx((0.8, 0.8))


def tables():
    truth = pd.DataFrame({"micrograph": ["a", "a", "b", "z"], "x": [0.0, 30, 0, 0], "y": 0.0})
    found = pd.DataFrame({"micrograph": ["a", "c", "a", "a"], "x": [1.0, 5, 31, 60], "y": 0.0, "score": 0.5})
    return truth, found


def test_table_counts_micrographs_without_picks_and_without_truth():
    truth, found = tables()
    parts = {"a": "test", "b": "test", "c": "test", "d": "train"}
    table = picks.picks_table(truth, found, parts, diameter_px=D, pixel_size=2.0).set_index(["part", "micrograph"])
    assert ["part", "micrograph", *table.columns][:15] == picks.PICK_COLUMNS
    assert table["n_truth"].to_dict() == {
        **{("test", "a"): 2, ("test", "b"): 1, ("test", "c"): 0, ("test", "all"): 3},
        **{("train", "d"): 0, ("train", "all"): 0},
    }
    row = table.loc[("test", "all")]
    assert (row["n_picks"], row["n_matched"]) == (4, 2)
    assert row["f1"] == pytest.approx(4 / 7)
    assert row["f1_macro"] == pytest.approx((4 / 5 + 0 + 0) / 3)
    assert row["precision_macro"] == pytest.approx((2 / 3 + 0) / 2)
    assert row["median_error_angstrom"] == pytest.approx(2.0)
    assert row["f1_low"] <= row["f1"] <= row["f1_high"]
    assert math.isnan(table.loc[("test", "a"), "f1_low"])
    assert table.loc[("train", "all"), "f1"] == 1


def test_pooling_equals_scoring_far_apart_copies():
    cases = [random_case(seed) for seed in (1, 2)]
    both = [np.concatenate([cases[0][i], cases[1][i] + 1000]) for i in (0, 1)]
    together = score_picks(*both, np.concatenate([cases[0][2], cases[1][2]]), diameter_px=D)
    pooled = pooled_picks([score_picks(*case, diameter_px=D) for case in cases])
    assert measures_of(pooled, 1.0) == pytest.approx(measures_of(together, 1.0), nan_ok=True)


def test_missing_column_is_named():
    truth, found = tables()
    with pytest.raises(UserError) as error:
        picks.score_tables(truth, found.drop(columns="score"), ["a"], diameter_px=D)
    assert str(error.value) == "The table of picks lacks the column score: add it."


def test_not_finite_coordinate_is_refused():
    truth, found = tables()
    found.loc[0, "x"] = math.nan
    with pytest.raises(UserError) as error:
        picks.score_tables(truth, found, ["a"], diameter_px=D)
    assert "picks holds a coordinate that is not a finite number" in str(error.value)


def test_picks_on_masked_area():
    valid = np.ones((50, 100), dtype=bool)
    valid[:, :10] = False
    xy = np.array([[10, 100], [39, 0], [41, 0], [-1, 5], [399.4, 199.4], [399.6, 5]])
    masked = picks.on_masked_area(xy, valid, full_shape=(200, 400))
    assert masked.tolist() == [True, False, False, True, False, True]
    assert scored([[0, 0]], xy, on_masked_area=masked).n_on_masked_area == 3
    assert picks.on_masked_area(np.zeros((0, 2)), valid, full_shape=(200, 400)).shape == (0,)


def test_reliability_of_a_calibrated_score():
    rng = np.random.default_rng(0)
    scores = rng.random(20000)
    true = rng.random(20000) < scores
    table = picks.reliability_table(scores, true)
    assert table["n_picks"].sum() == 20000
    np.testing.assert_allclose(table["mean_score"], table["precision"], atol=0.04)
    assert picks.expected_calibration_error(table) < 0.02


def test_calibration_error_by_hand():
    table = picks.reliability_table(np.array([0.05, 1.0, 0.95]), np.array([False, True, False]))
    assert table.loc[9, ["n_picks", "precision"]].tolist() == [2, 0.5]
    assert picks.expected_calibration_error(table) == pytest.approx((0.05 + 2 * (0.975 - 0.5)) / 3)


def test_isotonic_calibration_mends_a_distorted_score():
    rng = np.random.default_rng(0)
    expected = rng.random(20000)
    true = rng.random(20000) < expected
    knots = picks.fit_calibration(expected**3, true)
    mended = picks.calibrated(expected**3, knots)
    assert np.abs(mended - expected).mean() < 0.02
    assert knots["score"].is_monotonic_increasing and knots["precision"].is_monotonic_increasing


def test_every_pick_gets_the_precision_to_expect(tmp_path):
    rng = np.random.default_rng(0)
    scores = rng.random(5000).round(3)
    knots = picks.fit_calibration(scores**3, rng.random(5000) < scores)
    table = pd.DataFrame({"micrograph": "m", "x": 1.0, "y": 2.0, "score": rng.permutation(scores**3)})
    table = picks.with_expected_precision(table, knots)
    # scikit-learn fitted it; scipy interpolates it, constant beyond its ends
    ends = tuple(knots["precision"].iloc[[0, -1]])
    line = interp1d(knots["score"], knots["precision"], bounds_error=False, fill_value=ends)
    np.testing.assert_allclose(table[picks.EXPECTED_PRECISION], line(table["score"]))
    assert table.sort_values("score")[picks.EXPECTED_PRECISION].is_monotonic_increasing
    assert table[picks.EXPECTED_PRECISION].between(0, 1).all()
    write_coordinates_star(tmp_path / "picks.star", table)
    pd.testing.assert_frame_equal(read_coordinates_star(tmp_path / "picks.star"), table, check_dtype=False)
    nothing = picks.with_expected_precision(table.iloc[:0], knots)
    write_coordinates_star(tmp_path / "none.star", nothing)
    assert list(read_coordinates_star(tmp_path / "none.star")) == list(table)


def test_nothing_to_calibrate_on():
    with pytest.raises(UserError, match="no picks to calibrate"):
        picks.fit_calibration(np.zeros(0), np.zeros(0, dtype=bool))


@pytest.mark.real
@pytest.mark.parametrize(("picker", "f1"), [("crYOLO", 0.897), ("topaz", 0.782), ("deepPicker", 0.337)])
def test_published_picks_score_what_is_known_of_them(shared_data, picker, f1):
    folder = shared_data / "empiar-10017"
    parts, truth, found = {}, [], []
    for name in ("14_33_35", "15_17_31", "15_30_21", "16_44_07"):
        stem = f"Falcon_2012_06_12-{name}_0"
        parts[stem] = "test"
        truth.append(pd.read_csv(folder / "coordinates" / f"{stem}.csv").assign(micrograph=stem))
        boxes = np.loadtxt(folder / "published_picks" / picker / f"{stem}.box")
        x, y = boxes[:, 0] + boxes[:, 2] / 2, 4095 - (boxes[:, 1] + boxes[:, 3] / 2)
        found.append(pd.DataFrame({"micrograph": stem, "x": x, "y": y, "score": boxes[:, 4]}))
    coordinates = pd.concat(truth).rename(columns={"X-Coordinate": "x", "Y-Coordinate": "y"})
    table = picks.picks_table(coordinates, pd.concat(found), parts, diameter_px=108, pixel_size=1.77)
    assert table.iloc[-1]["f1"] == pytest.approx(f1, abs=6e-4)


def test_candidates_give_the_curves_and_picks_the_counts():
    truth = pd.DataFrame({"micrograph": "a", "x": [10.0, 100.0], "y": [10.0, 100.0]})
    candidates = pd.DataFrame({"micrograph": "a", "x": [10.0, 100.0, 200.0], "y": [10.0, 100.0, 200.0]})
    candidates["score"] = [0.9, 0.4, 0.2]
    table = picks_table(
        truth, candidates.iloc[:1], {"a": "test"}, candidates=candidates, diameter_px=20, pixel_size=1.0
    )
    row = table.set_index("micrograph").loc["all"]
    assert (row["n_picks"], row["recall"], row["auprc"], row["best_f1"]) == (1, 0.5, 1.0, 1.0)
    assert row["best_threshold"] == 0.4


def test_curve_table_holds_every_threshold_of_every_part():
    truth = pd.DataFrame({"micrograph": ["a", "b"], "x": [10.0, 10.0], "y": [10.0, 10.0]})
    found = pd.DataFrame({"micrograph": ["a", "a", "b"], "x": [10.0, 99.0, 50.0], "y": [10.0, 99.0, 50.0]})
    found["score"] = [0.5, 0.8, 0.7]
    table = curve_table(truth, found, {"a": "test", "b": "train"}, diameter_px=20)
    assert table.query("part == 'test'")[["threshold", "precision", "recall"]].to_numpy().tolist() == [
        [0.8, 0.0, 0.0],
        [0.5, 0.5, 1.0],
    ]
    assert table.query("part == 'train'")["f1"].tolist() == [0.0]


def test_flags_say_who_has_a_partner():
    truth = pd.DataFrame({"x": [0.0, 50.0], "y": [0.0, 0.0]})
    found = pd.DataFrame({"x": [49.0, 52.0, 0.0], "y": [0.0, 0.0, 30.0]})
    true, flagged = flag_matched(truth, found, diameter_px=20)
    assert true["matched"].tolist() == [False, True]
    assert flagged["matched"].tolist() == [True, False, False]


def test_calibration_on_the_part_it_was_fitted_on_is_exact_and_helps_elsewhere():
    rng = np.random.default_rng(0)
    n = 3000
    # a score whose square is the chance of a true pick
    scores = rng.random(n)
    true = rng.random(n) < scores**2
    truth = pd.DataFrame({"micrograph": np.where(np.arange(n) < n / 2, "a", "b"), "x": 50.0 * np.arange(n), "y": 0.0})
    found = truth.assign(score=scores)
    parts = {"a": "validation", "b": "test"}
    fitted = np.arange(n) < n / 2
    knots = picks.fit_calibration(scores[fitted], true[fitted])
    table = picks.calibration_table(truth[true], found, parts, knots=knots, diameter_px=20)
    errors = table.groupby(["part", "kind"])["expected_calibration_error"].first()
    assert errors["validation", "calibrated"] < 0.02
    assert errors["test", "calibrated"] < errors["test", "score"] / 3
    assert errors["test", "score"] == pytest.approx(1 / 6, abs=0.03)
    assert table.groupby(["part", "kind"])["n_picks"].sum().tolist() == [n // 2] * 4
