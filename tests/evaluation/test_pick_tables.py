import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crisp_core.evaluation.calibration import (
    fit_calibration,
)
from crisp_core.evaluation.pick_tables import PICK_COLUMNS, calibration_table, curve_table, picks_table
from crisp_core.evaluation.scores import pool_scores, score_picks
from tests.evaluation.example_picks import D, example_tables, measures_of, random_case, scored


@given(seed=st.integers(0, 10**6), shift=st.permutations(range(8)))
@settings(max_examples=40, deadline=None)
def test_order_of_rows_changes_no_measure(seed, shift):
    truth, found, scores = random_case(seed, 8, 8, side=20)
    first = measures_of(score_picks(truth, found, scores, diameter_px=D), 1.5)
    second = measures_of(score_picks(truth[shift], found[shift][::-1], scores[shift][::-1], diameter_px=D), 1.5)
    assert first == pytest.approx(second, nan_ok=True)


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


def test_table_counts_micrographs_without_picks_and_without_truth():
    truth, found = example_tables()
    parts = {"a": "test", "b": "test", "c": "test", "d": "train"}
    table = picks_table(truth, found, parts, diameter_px=D, pixel_size=2.0).set_index(["part", "micrograph"])
    assert ["part", "micrograph", *table.columns][:15] == PICK_COLUMNS
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
    pooled = pool_scores([score_picks(*case, diameter_px=D) for case in cases])
    assert measures_of(pooled, 1.0) == pytest.approx(measures_of(together, 1.0), nan_ok=True)


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
    table = picks_table(coordinates, pd.concat(found), parts, diameter_px=108, pixel_size=1.77)
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
    knots = fit_calibration(scores[fitted], true[fitted])
    table = calibration_table(truth[true], found, parts, knots=knots, diameter_px=20)
    errors = table.groupby(["part", "kind"])["expected_calibration_error"].first()
    assert errors["validation", "calibrated"] < 0.02
    assert errors["test", "calibrated"] < errors["test", "score"] / 3
    assert errors["test", "score"] == pytest.approx(1 / 6, abs=0.03)
    assert table.groupby(["part", "kind"])["n_picks"].sum().tolist() == [n // 2] * 4
