"""Cleaning of picks: every removed pick is listed with its reason."""

from typing import get_args

import numpy as np
import pandas as pd
import pytest

from crisp_core.errors import UserError
from crisp_core.formats.arrays import Grid
from crisp_core.formats.relion_coordinates import read_coordinates_star, write_coordinates_star
from crisp_core.formats.relion_labels import JUNK_DISTANCE_LABEL
from crisp_core.picking.cleaning import RANKS, clean_picks, rank_particles, with_junk_distance, with_reasons
from crisp_core.picking.removal import Sorted
from crisp_core.picking.settings import Rank, RemovalSettings
from crisp_core.picking.sizes import AT_EDGE, DIAMETER, LONG_AXIS, SHORT_AXIS, SOLIDITY
from tests.plan.configs import config

RULES = {"size_angstrom": [90, 160], "axis_ratio_max": 1.8, "solidity_min": 0.8, "score_min": 0.4}


def picks():
    """One pick for each rule, one that breaks none, and one below the threshold, which has no outline."""
    rows = [
        *(("fine", 120, 130, 110, 0.95, 0, 0.9), ("small", 80, 85, 75, 0.95, 0, 0.9)),
        *(("large", 200, 230, 180, 0.7, 1, 0.9), ("elongated", 120, 180, 80, 0.9, 0, 0.9)),
        *(("irregular", 120, 130, 110, 0.6, 0, 0.9), ("low score", 120, 130, 110, 0.95, 0, 0.3)),
        *(("cut by the edge", 60, 90, 40, 0.7, 1, 0.9), ("not measured", *[np.nan] * 5, 0.1)),
    ]
    columns = ["micrograph", DIAMETER, LONG_AXIS, SHORT_AXIS, SOLIDITY, AT_EDGE, "score"]
    return pd.DataFrame(rows, columns=columns).assign(x=5.0, y=7.0)


def clean(removal):
    table = picks()
    return clean_picks(Sorted(table, table.iloc[:0].assign(reason="")), RemovalSettings.of(removal))


def test_each_rule_removes_its_pick_with_its_name_and_nothing_is_lost():
    kept, dropped = clean(RULES)
    assert kept["micrograph"].tolist() == ["fine", "cut by the edge", "not measured"]
    assert dropped["micrograph"].tolist() == dropped["reason"].tolist()
    assert len(kept) + len(dropped) == len(picks()) and list(kept) == list(picks())


@pytest.mark.parametrize("removal", [{}, {"size_angstrom": [None, None]}, {"edge": True}])
def test_without_a_rule_every_pick_is_kept(removal):
    kept, dropped = clean(removal)
    pd.testing.assert_frame_equal(kept, picks())
    assert dropped.empty and "reason" in dropped


def test_a_size_can_have_one_bound():
    assert clean({"size_angstrom": [None, 160]}).dropped["reason"].tolist() == ["large"]
    assert clean({"size_angstrom": [90, None]}).dropped["reason"].tolist() == ["small"]


def test_dropped_picks_come_back_from_their_star_file(tmp_path):
    dropped = clean(RULES).dropped.assign(stage="picking", micrograph="m")
    write_coordinates_star(tmp_path / "dropped.star", with_reasons(dropped))
    found = read_coordinates_star(tmp_path / "dropped.star")
    assert found["crispReason"].tolist() == ["small", "large", "elongated", "irregular", "low_score"]
    np.testing.assert_allclose(found[DIAMETER], dropped[DIAMETER])


def test_distance_to_junk_is_to_the_nearest_contaminant_or_carbon():
    label = np.zeros((100, 200), dtype=int)
    label[50, 60], label[50, 100], label[50, 62] = 2, 3, 1
    found = pd.DataFrame({"x": [63.0, 90.0], "y": [54.0, 50.0]})
    grid = Grid((100, 200), 6.0, (400, 800))
    assert with_junk_distance(found, label, grid)[JUNK_DISTANCE_LABEL].tolist() == [30, 60]
    empty = with_junk_distance(found, np.ones_like(label), grid)[JUNK_DISTANCE_LABEL]
    np.testing.assert_allclose(empty, 6 * np.hypot(100, 200))
    assert JUNK_DISTANCE_LABEL not in with_junk_distance(found, None, grid)


def test_particles_are_ranked_from_the_best_and_keep_their_order_where_they_are_equal():
    rows = picks().rename(columns={"score": "rlnAutopickFigureOfMerit"}).assign(**{JUNK_DISTANCE_LABEL: range(8)})
    assert rank_particles(rows, None) is rows
    assert rank_particles(rows, "score")["micrograph"].tolist() == [
        *("fine", "small", "large", "elongated", "irregular", "cut by the edge", "low score", "not measured")
    ]
    assert rank_particles(rows, "size")["micrograph"].tolist()[0] == "large"
    assert rank_particles(rows, "junk_distance")["micrograph"].tolist()[0] == "not measured"
    assert tuple(RANKS) == get_args(Rank)
    for rank in RANKS:
        assert sorted(rank_particles(rows, rank)["micrograph"]) == sorted(rows["micrograph"])
        assert rank_particles(rows.iloc[:0], rank).empty


@pytest.mark.parametrize(
    ("experiment", "message"),
    [
        ({"removal": {"size_angstrom": [160, 90]}}, "the minimum, 160, is more than the maximum, 90; swap them"),
        ({"removal": {"axis_ratio_max": 0.5}}, "removal/axis_ratio_max: 0.5 is less than the minimum"),
        (
            {"picker": {"program": "skimage-log"}, "removal": {"solidity_min": 0.8}},
            "removal/solidity_min: picks of another program are not measured; leave it out",
        ),
        (
            {"training": {"start": "random"}, "removal": {"rank": "junk_distance"}},
            "removal/rank: junk_distance needs a network with the class contaminant or carbon; give another rank",
        ),
    ],
)
def test_rules_that_cannot_work_are_refused(experiment, message):
    with pytest.raises(UserError) as error:
        config(experiments={"unet": experiment})
    assert message in str(error.value)
