import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from crisp_core.errors import UserError
from crisp_core.evaluation.comparison import (
    common_micrographs,
    comparison_table,
    consensus_picks,
    flag_masked_entries,
    group_agreeing_picks,
    relative_ranks,
    score_entries,
    shares_of_matched_picks,
)
from crisp_core.evaluation.masked_area import flag_masked_picks
from crisp_core.figures.overlap import draw_overlap
from crisp_core.formats.arrays import Array

MICROGRAPHS = ["a", "b"]


def table(rows):
    return pd.DataFrame(rows, columns=["micrograph", "x", "y", "score"]).astype(
        {"x": float, "y": float, "score": float}
    )


def random_picks(seed, n):
    rng = np.random.default_rng(seed)
    names = rng.choice([*MICROGRAPHS, "not compared"], n)
    return table(zip(names, rng.uniform(0, 100, n), rng.uniform(0, 100, n), rng.normal(size=n), strict=True))


def brute_force_overlap(one, other, reach):
    """Share by Hungarian assignment over the whole matrix, micrograph by micrograph."""
    n_matched = n_picks = 0
    for name in MICROGRAPHS:
        a, b = (t.loc[t["micrograph"] == name, ["x", "y"]].to_numpy() for t in (one, other))
        near = np.hypot(*(a[:, None] - b[None]).transpose(2, 0, 1)) <= reach
        n_matched += near[linear_sum_assignment(~near)].sum()
        n_picks += len(a)
    return n_matched / n_picks


def test_overlaps_by_brute_force():
    picks = {"one": random_picks(1, 60), "two": random_picks(2, 90), "three": random_picks(3, 40)}
    shares = shares_of_matched_picks(picks, MICROGRAPHS, diameter_px=24)
    for a, b in itertools.product(picks, picks):
        assert shares.loc[a, b] == pytest.approx(brute_force_overlap(picks[a], picks[b], 12))
    assert np.diag(shares).tolist() == [1, 1, 1]


def test_an_entry_without_picks_overlaps_with_nothing():
    shares = shares_of_matched_picks({"none": table([]), "one": random_picks(1, 9)}, MICROGRAPHS, diameter_px=24)
    assert shares.loc["none"].isna().all() and shares.loc["one", "none"] == 0


def brute_force_groups(xy, entry, reach):
    """The rule of `consensus`, with all pairs and sets."""
    groups = [{i} for i in range(len(xy))]
    pairs = sorted(itertools.combinations(range(len(xy)), 2), key=lambda p: (np.hypot(*(xy[p[0]] - xy[p[1]])), p))
    for i, j in pairs:
        if np.hypot(*(xy[i] - xy[j])) > reach or entry[i] == entry[j]:
            continue
        one, other = (next(g for g in groups if k in g) for k in (i, j))
        centers = [np.mean([xy[k] for k in g], axis=0) for g in (one, other)]
        if one is not other and not {entry[k] for k in one} & {entry[k] for k in other}:
            if np.hypot(*(centers[0] - centers[1])) <= reach:
                groups.remove(other)
                one |= other
    return {frozenset(g) for g in groups}


@given(st.integers(0, 10**6), st.integers(0, 40), st.integers(1, 5))
def test_groups_by_brute_force(seed, n, n_entries):
    rng = np.random.default_rng(seed)
    xy, entry = rng.uniform(0, 60, (n, 2)), rng.integers(0, n_entries, n)
    group = group_agreeing_picks(xy, entry, reach_px=10)
    found = {frozenset(np.flatnonzero(group == g).tolist()) for g in set(group.tolist())}
    assert found == brute_force_groups(xy, entry, 10)
    assert all(len(set(entry[list(g)])) == len(g) for g in found)


def test_consensus_of_three():
    one = table([("a", 0, 0, 5), ("a", 100, 0, 4), ("b", 50, 50, 3)])
    two = table([("a", 3, 0, 0.5), ("a", 200, 0, 0.9), ("b", 50, 53, 0.7)])
    three = table([("a", 0, 6, np.nan), ("not compared", 50, 50, np.nan)])
    agreed = consensus_picks({"one": one, "two": two, "three": three}, MICROGRAPHS, diameter_px=20, at_least=2)
    assert agreed[["micrograph", "x", "y", "n_entries"]].to_numpy().tolist() == [["a", 1, 2, 3], ["b", 50, 51.5, 2]]
    # ranks: 5/6 of three, 1/6 of three, 1/2 of one; then 1/6 and 1/2
    assert agreed["score"].tolist() == pytest.approx([3 + (5 / 6 + 1 / 6 + 1 / 2) / 3, 2 + (1 / 6 + 1 / 2) / 2])


def test_consensus_of_equal_entries_is_the_entry_and_of_one_all_of_it():
    picks = table([("a", 40 * i, 0, i) for i in range(5)])
    for picked in ({"one": picks, "two": picks}, {"one": picks}):
        agreed = consensus_picks(picked, MICROGRAPHS, diameter_px=20, at_least=len(picked))
        pd.testing.assert_frame_equal(agreed[["micrograph", "x", "y"]], picks[["micrograph", "x", "y"]])
        assert agreed["score"].tolist() == pytest.approx((len(picked) + (np.arange(5) + 0.5) / 5).tolist())


def test_consensus_of_nothing_is_an_empty_table():
    agreed = consensus_picks({"one": table([]), "two": table([])}, MICROGRAPHS, diameter_px=20, at_least=1)
    assert len(agreed) == 0 and list(agreed) == ["micrograph", "x", "y", "score", "n_entries"]


def test_the_order_of_micrographs_and_entries_moves_no_consensus_pick():
    picks = {"one": random_picks(1, 60), "two": random_picks(2, 90), "three": random_picks(3, 40)}
    shared = {"diameter_px": 24, "at_least": 2}
    forwards = consensus_picks(picks, MICROGRAPHS, **shared)
    backwards = consensus_picks(dict(reversed(picks.items())), MICROGRAPHS[::-1], **shared)
    columns = ["micrograph", "x", "y", "score", "n_entries"]
    both = [t.sort_values(["micrograph", "x", "y"])[columns].reset_index(drop=True) for t in (forwards, backwards)]
    pd.testing.assert_frame_equal(*both)


def test_ranks_share_equal_scores():
    assert relative_ranks([3, 1, 1, np.nan]).tolist() == [0.875, 0.5, 0.5, 0.125]
    assert relative_ranks([np.nan, np.nan]).tolist() == [0.5, 0.5]


def test_the_same_picks_get_the_same_row():
    truth, picks = random_picks(5, 70), random_picks(6, 80)
    settings = {"part": "test", "diameter_px": 24, "pixel_size": 2.0}
    both = {"one": picks, "two": picks.sample(frac=1, random_state=1)}
    scored, curves = score_entries(truth, both, both, MICROGRAPHS, **settings)
    one, two = (scored[scored["entry"] == entry].drop(columns="entry").reset_index(drop=True) for entry in both)
    pd.testing.assert_frame_equal(one, two)
    assert scored["n_micrographs"].tolist() == [2, 2] and set(curves["entry"]) == set(both)
    facts = {"one": {"kind": "network", "leak": "no"}, "two": {"kind": "files", "leak": "yes"}}
    table = comparison_table(scored, facts, {"two": {"training_seconds": 5.0}})
    assert list(table)[:5] == ["entry", "kind", "leak", "part", "n_micrographs"]
    assert list(table)[-1] == "training_seconds" and table["training_seconds"].isna().tolist() == [True, False]


def test_all_are_scored_on_what_all_have_seen():
    parts = {"a": "test", "b": "test", "c": "test", "d": "train"}
    assert common_micrographs(parts, "test", {"ours": None, "files": {"c", "a", "d"}}) == ["a", "c"]
    with pytest.raises(UserError, match="has picks of all entries; remove two, which has the fewest"):
        common_micrographs(parts, "test", {"one": {"a", "b"}, "two": {"c"}})


def test_picks_on_masked_area_are_flagged_micrograph_by_micrograph():
    valid = np.ones((10, 20), dtype=bool)
    valid[:, :4] = False
    masks = [("a", Array(valid, 4.0, (40, 80))), ("b", Array(np.ones_like(valid), 4.0, (40, 80)))]
    picks = table([("b", 3, 3, 1), ("a", 3, 3, 1), ("a", 40, 20, 1), ("a", 90, 20, 1), ("unknown", 0, 0, 1)])
    assert flag_masked_picks(picks, masks)["on_masked_area"].tolist() == [False, True, False, True, False]
    # the masks of all micrographs are read once for all entries
    entries = {"one": picks, "none": picks.iloc[:0], "two": picks[::-1]}
    flagged = flag_masked_entries(entries, iter(masks))
    for entry, expected in entries.items():
        alone = flag_masked_picks(expected.reset_index(drop=True), masks)
        pd.testing.assert_frame_equal(flagged[entry][alone.columns.tolist()], alone)


def test_the_overlap_is_drawn_with_its_numbers():
    shares = pd.DataFrame([[1, 0.25], [np.nan, 1]], index=["one", "none"], columns=["one", "none"])
    axes = draw_overlap(shares).axes[0]
    assert [text.get_text() for text in axes.texts] == ["1.00", "0.25", "–", "1.00"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["one", "none"]
