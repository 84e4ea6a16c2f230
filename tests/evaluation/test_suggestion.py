import numpy as np
import pandas as pd
import pytest

from crisp_core.evaluation.suggestion import measure_doubt, robust_z, suggest_micrographs

NAMES = [f"mic{i}" for i in range(10)]


def tables(**columns):
    rng = np.random.default_rng(1)
    doubt = pd.DataFrame({"micrograph": NAMES, "uncertainty": 0.1, "turn_disagreement": 0.02})
    doubt[["uncertainty", "turn_disagreement"]] += rng.normal(0, 1e-3, (10, 2))
    curation = pd.DataFrame({"micrograph": NAMES[::-1], "verdict": "good"})
    curation["mottle"] = 0.2 + rng.normal(0, 1e-3, 10)
    curation["carbon_share"] = np.nan
    return doubt, curation


def test_doubt_is_zero_for_sure_maps_and_sees_a_turn():
    sure, half = np.eye(4), np.full((4, 4), 0.5)
    valid = np.ones((4, 4), bool)
    assert measure_doubt(sure, sure, valid) == {"uncertainty": 0, "turn_disagreement": 0}
    assert measure_doubt(half, half, valid)["uncertainty"] == pytest.approx(1)
    assert measure_doubt(sure, 1 - sure, np.eye(4, dtype=bool))["turn_disagreement"] == 1
    assert np.isnan(measure_doubt(sure, sure, ~valid)["uncertainty"])


def test_deviations_are_robust_and_limited():
    z = robust_z(pd.Series([0, 1, 2, 3, 4, 1000, np.nan]))
    assert z.iloc[5] == 3 and z.iloc[6] == 0 and z.abs().iloc[:5].max() < 2
    assert (robust_z(pd.Series([1.0, 1.0, 1.0])) == 0).all()


def test_doubtful_and_unusual_micrographs_come_first_but_not_two_of_a_kind():
    doubt, curation = tables()
    doubt.loc[[2, 3], ["uncertainty", "turn_disagreement"]] = [[0.3, 0.1], [0.29, 0.099]]
    curation.loc[curation["micrograph"] == "mic7", "mottle"] = 0.9
    found = suggest_micrographs(doubt, curation, n=2)
    assert found["micrograph"].tolist() == ["mic2", "mic7"] or found["micrograph"].tolist() == ["mic3", "mic7"]
    assert "turned" in found["reason"][0] and found["reason"][1] == "much mottle"
    assert found["rank"].tolist() == [1, 2]


def test_bad_and_corrected_micrographs_are_not_suggested():
    doubt, curation = tables()
    curation.loc[curation["micrograph"] == "mic1", "verdict"] = "bad"
    found = suggest_micrographs(doubt, curation, corrected=["mic5", "gone"], n=20)
    assert set(found["micrograph"]) == set(NAMES) - {"mic1", "mic5"}
