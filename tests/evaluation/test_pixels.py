import math

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from crisp_core.evaluation import pixels
from crisp_core.evaluation.pixels import PixelCounts, count_pixels, pixel_table


@pytest.fixture
def micrograph():
    rng = np.random.default_rng(3)
    return rng.random((20, 30)), rng.integers(0, 4, (20, 30)), rng.random((20, 30)) < 0.7


def test_counts_and_ratios_agree_with_scikit_learn(micrograph):
    probability, label, valid = micrograph
    truth, predicted = (label == 1)[valid], (probability >= 0.4)[valid]
    counts = count_pixels(probability, label, valid, threshold=0.4)
    (tn, fp), (fn, tp) = sklearn_metrics.confusion_matrix(truth, predicted)
    assert counts == (tp, fp, fn, tn)
    assert pixels.iou(counts) == pytest.approx(sklearn_metrics.jaccard_score(truth, predicted))
    assert pixels.precision(counts) == pytest.approx(sklearn_metrics.precision_score(truth, predicted))
    assert pixels.recall(counts) == pytest.approx(sklearn_metrics.recall_score(truth, predicted))
    assert pixels.accuracy(counts) == pytest.approx(sklearn_metrics.accuracy_score(truth, predicted))
    assert pixels.f1(counts) == pytest.approx(sklearn_metrics.f1_score(truth, predicted))


def test_pixels_outside_of_the_valid_area_never_count(micrograph):
    probability, label, valid = micrograph
    assert count_pixels(np.where(valid, probability, 1), np.where(valid, label, 1), valid) == count_pixels(*micrograph)


def test_threshold_is_inclusive():
    assert count_pixels(np.full((1, 1), 0.5), np.ones((1, 1)), np.ones((1, 1))) == (1, 0, 0, 0)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        (PixelCounts(0, 0, 0, 9), [1, 1, 1, 1, 1]),
        (PixelCounts(0, 0, 0, 0), [math.nan] * 5),
        (PixelCounts(0, 0, 3, 6), [0, math.nan, 0, 2 / 3, 0]),
        (PixelCounts(0, 3, 0, 6), [0, 0, math.nan, 2 / 3, 0]),
    ],
    ids=["rightly empty", "no valid pixel", "nothing predicted", "no particle"],
)
def test_undefined_ratios(counts, expected):
    row = pixel_table([("test", "a", counts)]).iloc[0]
    assert row[["iou", "precision", "recall", "accuracy", "f1"]].tolist() == pytest.approx(expected, nan_ok=True)


def test_table_pools_counts_within_each_part():
    a, b, c = PixelCounts(1, 2, 3, 4), PixelCounts(10, 0, 0, 1), PixelCounts(5, 1, 1, 1)
    table = pixel_table([("test", "a", a), ("train", "c", c), ("test", "b", b)])
    assert list(table.columns[:7]) == ["part", "micrograph", "iou", "precision", "recall", "accuracy", "f1"]
    assert list(zip(table["part"], table["micrograph"], strict=True)) == [
        *(("test", "a"), ("test", "b"), ("test", "all")),
        *(("train", "c"), ("train", "all")),
    ]
    assert table.loc[2, "iou"] == pytest.approx(11 / 16)
    assert table.loc[2, ["tp", "fp", "fn", "tn"]].tolist() == [11, 2, 3, 5]


def test_table_of_nothing_has_its_columns():
    assert list(pixel_table([]).columns[:3]) == ["part", "micrograph", "iou"]
