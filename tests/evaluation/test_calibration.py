import numpy as np
import pandas as pd
import pytest
from scipy.interpolate import interp1d

from crisp_core.errors import UserError
from crisp_core.evaluation.calibration import (
    EXPECTED_PRECISION,
    add_expected_precision,
    apply_calibration,
    expected_calibration_error,
    fit_calibration,
    reliability_table,
)
from crisp_core.formats.relion_coordinates import read_coordinates_star, write_coordinates_star


def test_reliability_of_a_calibrated_score():
    rng = np.random.default_rng(0)
    scores = rng.random(20000)
    true = rng.random(20000) < scores
    table = reliability_table(scores, true)
    assert table["n_picks"].sum() == 20000
    np.testing.assert_allclose(table["mean_score"], table["precision"], atol=0.04)
    assert expected_calibration_error(table) < 0.02


def test_calibration_error_by_hand():
    table = reliability_table(np.array([0.05, 1.0, 0.95]), np.array([False, True, False]))
    assert table.loc[9, ["n_picks", "precision"]].tolist() == [2, 0.5]
    assert expected_calibration_error(table) == pytest.approx((0.05 + 2 * (0.975 - 0.5)) / 3)


def test_isotonic_calibration_mends_a_distorted_score():
    rng = np.random.default_rng(0)
    expected = rng.random(20000)
    true = rng.random(20000) < expected
    knots = fit_calibration(expected**3, true)
    mended = apply_calibration(expected**3, knots)
    assert np.abs(mended - expected).mean() < 0.02
    assert knots["score"].is_monotonic_increasing and knots["precision"].is_monotonic_increasing


def test_every_pick_gets_the_precision_to_expect(tmp_path):
    rng = np.random.default_rng(0)
    scores = rng.random(5000).round(3)
    knots = fit_calibration(scores**3, rng.random(5000) < scores)
    table = pd.DataFrame({"micrograph": "m", "x": 1.0, "y": 2.0, "score": rng.permutation(scores**3)})
    table = add_expected_precision(table, knots)
    # scikit-learn fitted it; scipy interpolates it, constant beyond its ends
    ends = tuple(knots["precision"].iloc[[0, -1]])
    line = interp1d(knots["score"], knots["precision"], bounds_error=False, fill_value=ends)
    np.testing.assert_allclose(table[EXPECTED_PRECISION], line(table["score"]))
    assert table.sort_values("score")[EXPECTED_PRECISION].is_monotonic_increasing
    assert table[EXPECTED_PRECISION].between(0, 1).all()
    write_coordinates_star(tmp_path / "picks.star", table)
    pd.testing.assert_frame_equal(read_coordinates_star(tmp_path / "picks.star"), table, check_dtype=False)
    nothing = add_expected_precision(table.iloc[:0], knots)
    write_coordinates_star(tmp_path / "none.star", nothing)
    assert list(read_coordinates_star(tmp_path / "none.star")) == list(table)


def test_nothing_to_calibrate_on():
    with pytest.raises(UserError, match="there are no picks to fit it on"):
        fit_calibration(np.zeros(0), np.zeros(0, dtype=bool))
