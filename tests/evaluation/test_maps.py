import numpy as np
import pytest

from crisp_core.errors import UserError
from crisp_core.evaluation.maps import N_BINS, count_map, count_regions, map_table, pooled_map_row


def test_regions_touch_by_sides_and_corners():
    mask = np.array([[1, 0, 0, 1], [0, 1, 0, 1], [0, 0, 0, 0], [1, 1, 0, 1]], bool)
    assert count_regions(mask) == 4
    assert count_regions(np.zeros((3, 3), bool)) == 0


def test_only_valid_pixels_are_counted():
    probability = np.array([[0.0, 0.5, 0.96, 1.0], [0.2, 0.2, 0.2, 0.2]])
    label = np.array([[0, 1, 0, 1], [0, 0, 0, 3]])
    valid = np.array([[True, True, False, True], [True, True, True, False]])
    counts = count_map(probability, label, valid)
    assert (counts.n_regions, counts.n_labelled, counts.n_unsure) == (2, 2, 4)
    assert counts.histogram.sum() == 6
    bins = {i: n for i, n in enumerate(counts.histogram) if n}
    assert bins == {0: 1, 4: 3, 10: 1, 19: 1}


def test_a_part_is_the_sum_of_its_micrographs():
    rng = np.random.default_rng(0)
    maps = {name: (rng.random((20, 30)), rng.integers(0, 2, (20, 30)), rng.random((20, 30)) < 0.8) for name in "abc"}
    parts = {"a": "train", "b": "test", "c": "test"}
    table = map_table((part, name, count_map(*maps[name])) for name, part in parts.items())
    assert table["micrograph"].tolist() == ["a", "all", "b", "c", "all"]
    bins = [column for column in table if column.startswith("p_")]
    assert len(bins) == N_BINS and (bins[0], bins[1], bins[-1]) == ("p_0.00", "p_0.05", "p_0.95")
    np.testing.assert_allclose(table[bins].sum(axis=1), 1)
    test = table[table["part"] == "test"].set_index("micrograph")
    assert test.loc["all", "n_regions"] == test.loc[["b", "c"], "n_regions"].sum()
    pixels = np.concatenate([maps[name][0][maps[name][2]] for name in "bc"])
    assert test.loc["all", "unsure_share"] == pytest.approx(np.mean((pixels > 0.05) & (pixels < 0.95)))
    assert test.loc["all", "p_0.50"] == pytest.approx(np.mean((pixels >= 0.5) & (pixels < 0.55)))


def test_a_micrograph_without_valid_pixels_has_no_shares():
    counts = count_map(np.ones((2, 2)), np.ones((2, 2), int), np.zeros((2, 2), bool))
    row = map_table([("test", "a", counts)]).iloc[0]
    assert row["n_regions"] == 0 and np.isnan(row["unsure_share"]) and np.isnan(row["p_0.00"])


def test_no_map_at_all_is_a_table_of_the_same_columns_and_a_line():
    some = map_table([("test", "a", count_map(np.zeros((4, 4)), np.zeros((4, 4), int), np.ones((4, 4), bool)))])
    empty = map_table([])
    assert list(empty) == list(some) and empty.empty
    with pytest.raises(UserError, match="no micrograph of the test part has a map"):
        pooled_map_row(empty)
