"""Verdict on micrographs: measures with known answers, and the rules."""

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from crisp_core.classes import CARBON, CLASSES, CONTAMINANT, PARTICLE
from crisp_core.evaluation.curation import (
    CTF_COLUMNS,
    MEASURES,
    RULES,
    add_verdicts,
    class_shares,
    judge,
    measure_micrograph,
    pick_measures,
)
from crisp_core.evaluation.settings import CurationSettings
from crisp_core.formats.arrays import Grid


def noise(shape=(256, 320), seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def picks_at(xy, score=0.8):
    return pd.DataFrame({"x": [float(x) for x, _ in xy], "y": [float(y) for _, y in xy], "score": score})


def test_shares_are_of_the_valid_area_and_of_the_networks_classes():
    label = np.zeros((10, 10), dtype=np.uint8)
    label[:2], label[2:3], label[9:] = PARTICLE, CONTAMINANT, CARBON
    valid = np.ones((10, 10), dtype=bool)
    valid[9:] = False
    shares = class_shares(label, valid, CLASSES)
    assert shares == pytest.approx(
        {"particle_share": 20 / 90, "contaminant_share": 10 / 90, "carbon_share": 0, "empty_share": 60 / 90}
    )
    two = class_shares(label, valid, ["background", "particle"])
    assert np.isnan(two["carbon_share"]) and np.isnan(two["contaminant_share"]) and two["particle_share"] > 0.2


def test_picks_are_counted_per_area():
    picks = picks_at([(100, 100), (110, 100), (300, 300), (900, 900)])
    # 1000 × 1000 px at 10 Å/px are 1 µm²
    measures = pick_measures(picks, area_px=1e6, diameter_px=20, pixel_size=10)
    expected = {"n_picks": 4, "picks_per_um2": 4, "picked_share": 4 * np.pi * 100 / 1e6, "median_score": 0.8}
    assert measures == pytest.approx(expected | {"aggregation": 0.5})
    none = pick_measures(picks[:0], area_px=1e6, diameter_px=20, pixel_size=10)
    assert none["n_picks"] == none["aggregation"] == 0 and np.isnan(none["median_score"])


GOOD_MEASURES = {
    **{"particle_share": 0.1, "contaminant_share": 0.0, "carbon_share": 0.0, "empty_share": 0.9, "ice_gradient": 0.1},
    **{"mottle": 0.2, "patchiness": 1.5, "dark_share": 0.0, "ice_signal": 3.0, "direction": 0.02},
    **{"dark_per_particle": 0.0, "ice_ring": 1.1, "n_picks": 80, "picks_per_um2": 100, "picked_share": 0.15},
    **{"median_score": 0.9, "aggregation": 0.1, "ctf_resolution_angstrom": 4.0, "ctf_figure_of_merit": 0.2},
    **{"defocus_angstrom": 15000.0, "astigmatism_angstrom": 200.0},
}


# other measures and settings with which a rule with a condition applies
CONDITIONS = {
    "aggregates, cracks": {"patchiness": 9.0},
    "no ice": {"picked_share": 0.01},
    "few picks, but": {"ice_signal": 9.0},
}
ALL_OFF = dict.fromkeys({rule.setting for rule in RULES})


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.words.partition(":")[0].replace("{", "").replace("}", ""))
def test_every_rule_gives_its_verdict_with_its_reason(rule):
    pair = [0.5, 0.25] if rule.too_low else [0.5, 0.75]
    settings = CurationSettings.of(ALL_OFF | {rule.setting: pair})
    others = next((more for words, more in CONDITIONS.items() if rule.words.startswith(words)), {})
    for value, expected in zip((0.4, 0.2) if rule.too_low else (0.6, 0.8), ("doubtful", "bad"), strict=True):
        found = judge(GOOD_MEASURES | others | {rule.measure: value}, settings)
        assert found == (expected if rule.worst == "bad" else "doubtful", rule.kind, rule.words.format(value=value))
    assert judge(GOOD_MEASURES | others | {rule.measure: np.nan}, settings).verdict == "good"
    assert judge(GOOD_MEASURES | others | {rule.measure: value}, CurationSettings.of(ALL_OFF)).verdict == "good"


def test_a_good_micrograph_breaks_no_rule():
    assert judge(GOOD_MEASURES, CurationSettings()) == ("good", "", "")
    assert set(GOOD_MEASURES) == set(MEASURES)
    assert all(measure in MEASURES for measure, *_ in RULES)


def test_blotches_in_places_are_contaminants_and_everywhere_crystalline_ice():
    for patchiness, kind in ((2.0, "crystalline ice"), (6.0, "contaminated")):
        assert judge(GOOD_MEASURES | {"mottle": 0.9, "patchiness": patchiness}, CurationSettings()).kind == kind


def test_white_noise_is_no_ice_only_where_few_particles_are_found():
    white = GOOD_MEASURES | {"ice_signal": 1.0}
    assert judge(white, CurationSettings()).verdict == "good"
    assert judge(white | {"picked_share": 0.001}, CurationSettings())[:2] == ("bad", "no ice")


def test_white_noise_is_no_reason_against_many_particles_whether_their_share_has_a_rule_or_not():
    white, without_rule = GOOD_MEASURES | {"ice_signal": 1.1}, CurationSettings.of({"picked_share_min": None})
    assert judge(white | {"picked_share": 0.5}, without_rule).verdict == "good"
    assert judge(white | {"picked_share": 0.001}, without_rule)[:2] == ("bad", "no ice")


def test_verdict_kind_reason_and_exclusion_follow_the_name():
    table = add_verdicts(pd.DataFrame([{"micrograph": "a", **GOOD_MEASURES}]), CurationSettings())
    assert [*table.columns] == ["micrograph", "verdict", "kind", "reason", "excluded", *GOOD_MEASURES]
    assert table.loc[0, "verdict"] == "good"
    none = add_verdicts(pd.DataFrame(columns=["micrograph", *MEASURES]), CurationSettings())
    assert len(none) == 0 and "verdict" in none


def test_lists_of_names_override_the_excluded_verdicts():
    settings = CurationSettings.of({"exclude": ["bad"], "exclude_micrographs": ["c"], "keep_micrographs": ["b"]})
    rows = [{"micrograph": name, **GOOD_MEASURES} for name in "abc"]
    rows[0]["mottle"] = rows[1]["mottle"] = 0.9
    table = add_verdicts(pd.DataFrame(rows), settings)
    assert table["excluded"].tolist() == ["verdict bad", "", "listed in exclude_micrographs"]
    assert not add_verdicts(pd.DataFrame(rows), CurationSettings())["excluded"].any()
    with pytest.raises(ValidationError, match="b is in keep_micrographs and in exclude_micrographs"):
        CurationSettings.of({"exclude_micrographs": ["b"], "keep_micrographs": ["b"]})


def test_reasons_for_bad_come_first():
    found = judge(GOOD_MEASURES | {"direction": 0.3, "picked_share": 0.0}, CurationSettings())
    assert found[:2] == ("bad", "no particles")
    assert found.reason.startswith("few particles: picks cover 0.00% of the area; drift")


@pytest.mark.parametrize(("key", "pair"), [("mottle_max", [0.6, 0.4]), ("picked_share_min", [0.1, 0.2])])
def test_a_pair_in_the_wrong_order_is_refused(key, pair):
    with pytest.raises(ValidationError, match=f"comes before {pair[0]:g}, doubtful; swap them"):
        CurationSettings.of({key: pair})


def test_a_micrograph_has_all_measures():
    grid = Grid((256, 320), 10.0, (512, 640))
    label = np.zeros(grid.shape, dtype=np.uint8)
    measures = measure_micrograph(
        *(noise(), np.ones(grid.shape), label, picks_at([(50, 50)])),
        **{"classes": CLASSES, "grid": grid, "diameter_angstrom": 250.0},
    )
    assert set(MEASURES) - set(measures) == {"ice_ring", *CTF_COLUMNS}
    # 512 × 640 px at 5 Å/px; the disc is 50 px wide
    assert measures["picked_share"] == pytest.approx(np.pi * 25**2 / (512 * 640))
    assert measures["picks_per_um2"] == pytest.approx(1 / (512 * 640 * 25e-8))
