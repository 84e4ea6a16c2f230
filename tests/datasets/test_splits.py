import pandas as pd
import pytest

from crisp_core.datasets.quarantine import Refused
from crisp_core.datasets.splits import (
    check_particles,
    n_quarantined,
    read_scored_parts,
    split_by_counts,
    split_by_lists,
    with_added,
)
from crisp_core.errors import UserError

NAMES = [f"m{i:02d}" for i in range(20)]


def members(table, part):
    return set(table.loc[table["part"] == part, "micrograph"])


def test_counts_are_met_and_no_micrograph_is_in_two_parts():
    table = split_by_counts(NAMES, train=10, validation=4, test="rest", seed=3)
    assert [len(members(table, part)) for part in ("train", "validation", "test")] == [10, 4, 6]
    assert sorted(table["micrograph"]) == NAMES


def test_split_depends_on_names_and_seed_but_not_on_order():
    counts = {"train": 10, "validation": 4, "test": 3}
    table = split_by_counts(NAMES, **counts, seed=3)
    assert table.equals(split_by_counts(NAMES[::-1], **counts, seed=3))
    assert not table.equals(split_by_counts(NAMES, **counts, seed=4))
    assert len(table) == 17


def test_every_micrograph_is_equally_likely_to_train():
    drawn = [members(split_by_counts(NAMES, train=5, validation=5, seed=s), "train") for s in range(400)]
    shares = [sum(name in part for part in drawn) / 400 for name in NAMES]
    # Binomial with p = 1/4 and n = 400: standard deviation 0.022, so 5 of them for 20 names.
    assert max(abs(share - 0.25) for share in shares) < 0.11


def test_lists_are_taken_as_they_are_and_the_rest_is_tested():
    table = split_by_lists(NAMES, train=NAMES[3:5], validation=["m00"])
    assert members(table, "train") == {"m03", "m04"}
    assert members(table, "validation") == {"m00"}
    assert members(table, "test") == set(NAMES) - {"m00", "m03", "m04"}


def test_parts_may_be_empty():
    table = split_by_counts(["a"], train=0, validation=0, seed=0)
    assert table.to_dict("list") == {"micrograph": ["a"], "part": ["test"]}
    assert split_by_counts([], train=0, validation=0, seed=0).empty


@pytest.mark.parametrize(
    ("split", "message"),
    [
        (
            lambda: split_by_counts(NAMES, train=16, validation=6, seed=0),
            "split: train + validation + test = 16 + 6 + 0 = 22 micrographs, but 20 have coordinates; lower one "
            "of them",
        ),
        (
            lambda: split_by_counts(["a", "b", "a"], train=1, validation=1, seed=0),
            "split: a is repeated among the micrographs; remove one of them",
        ),
        (
            lambda: split_by_counts(NAMES, train=-1, validation=1, seed=0),
            "split/train: -1 is not a number of micrographs; give 0 or more",
        ),
        (
            lambda: split_by_lists(NAMES, train=["m00"], validation=["m01"], test=["m01"]),
            "split: m01 is repeated in the split's lists; remove one of them",
        ),
        (
            lambda: split_by_lists(NAMES, train=["x", "m00"], validation=["y"]),
            "split: no micrograph is called x; correct the list (2 such names)",
        ),
    ],
)
def test_impossible_splits_are_refused(split, message):
    with pytest.raises(UserError) as error:
        split()
    assert str(error.value) == message


def test_refused_micrographs_come_off_the_test_part_and_no_further():
    names = [f"m{i}" for i in range(11)]
    table = split_by_counts(names, train=6, validation=2, test=4, seed=0, n_refused=1)
    assert table["part"].value_counts().to_dict() == {"train": 6, "validation": 2, "test": 3}
    with pytest.raises(UserError, match="but 7 have coordinates"):
        split_by_counts(names[:7], train=6, validation=2, test=4, seed=0, n_refused=5)


def test_refused_micrographs_come_off_the_training_part_where_nothing_is_tested():
    table = split_by_counts(NAMES, train=16, validation=6, test=0, seed=3, n_refused=2)
    assert [len(members(table, part)) for part in ("train", "validation", "test")] == [14, 6, 0]
    with pytest.raises(UserError, match="17 \\+ 6 \\+ 0 = 23 micrographs, but 20 have coordinates"):
        split_by_counts(NAMES, train=19, validation=6, test=0, seed=3, n_refused=2)
    with pytest.raises(UserError, match="but 1 have coordinates;"):
        split_by_counts(["a"], train=2, validation=1, test=0, seed=3, n_refused=2)


def test_a_listed_micrograph_that_is_refused_is_left_out():
    table = split_by_lists(
        ["a", "b", "c"], train=["a", "x"], validation=["b"], test=["c"], unlabelled=["x"], n_refused=1
    )
    assert dict(zip(table["micrograph"], table["part"], strict=True)) == {"a": "train", "b": "validation", "c": "test"}
    with pytest.raises(UserError, match="no micrograph is called y"):
        split_by_lists(["a", "b", "c"], train=["a", "y"], validation=["b"], test=["c"], unlabelled=["x"], n_refused=1)


def test_a_listed_micrograph_without_coordinates_is_refused_unless_something_is_quarantined():
    lists = {"train": ["a", "x"], "validation": ["b"], "test": ["y"]}
    for n_refused in (0, 1):
        with pytest.raises(UserError, match=r"split: x is listed, but has no coordinates; .* \(2 such names\)"):
            split_by_lists(["a", "b"], **lists, unlabelled=["x", "y"], n_refused=n_refused)
    table = split_by_lists(["a", "b"], **lists, unlabelled=["x", "y"], n_refused=2)
    assert table["micrograph"].tolist() == ["a", "b"]


def test_added_micrographs_test_and_change_no_part():
    drawn = split_by_counts(NAMES, train=10, validation=4, test="rest", seed=3)
    table = with_added(drawn, ["new2", "a_new1", NAMES[0]])
    for part in ("train", "validation"):
        assert members(table, part) == members(drawn, part)
    assert members(table, "test") == members(drawn, "test") | {"new2", "a_new1"} - members(drawn, "train")
    assert table.equals(
        table.sort_values("micrograph", kind="stable").sort_values(
            "part",
            key=lambda part: part.map({"train": 0, "validation": 1, "test": 2}),
            kind="stable",
            ignore_index=True,
        )
    )


def test_parts_are_those_of_the_named_micrographs(tmp_path):
    split = tmp_path / "split.tsv"
    split.write_text("micrograph\tpart\n01\ttrain\n02\ttest\n03\ttest\n")
    names = tmp_path / "names.tsv"
    names.write_text("micrograph\n02\n04\n")
    assert read_scored_parts(split) == {"01": "train", "02": "test", "03": "test"}
    assert read_scored_parts(split, [names]) == {"02": "test"}
    assert read_scored_parts(split, failed={"02"}) == {"01": "train", "03": "test"}
    names.write_text("micrograph\n04\n")
    with pytest.raises(UserError, match=r"split\.tsv: has no micrograph with scored picks; add some to a part, or"):
        read_scored_parts(split, [names])


@pytest.mark.parametrize(
    ("counts", "part"),
    [({"m00": 5, "m01": 0, "m05": 3}, "train"), ({"m01": 4, "m02": 2, "m05": 3}, "validation"), ({}, "train")],
)
def test_a_part_whose_micrographs_are_all_empty_is_refused(counts, part):
    table = split_by_lists(NAMES, train=["m01", "m02"], validation=["m00"])
    with pytest.raises(UserError, match=f"datasets/mine/split/{part}: none of its [12] micrographs has a particle "):
        check_particles(table, counts, source="datasets/mine")


def test_one_particle_is_enough_for_a_part_and_no_part_needs_micrographs():
    table = split_by_lists(NAMES, train=["m01", "m02"], validation=["m00"])
    check_particles(table, {"m02": 1, "m00": 1}, source="datasets/mine")
    check_particles(split_by_counts(NAMES, train=0, validation=0, seed=1), {}, source="datasets/mine")


@pytest.mark.parametrize(
    ("refused", "n"),
    [
        ([], 0),
        ([("raw/x.mrc", "prepare"), ("raw/x.mrc", "prepare"), ("raw/a.mrc", "prepare")], 1),
        # a coordinate of a labelled micrograph lies outside
        ([("a.csv", "coordinates")], 0),
        ([("y.csv", "coordinates")], 1),
        # a file of several micrographs, of which one is refused, and one of which nothing is left
        ([("all.star", "coordinates")], 1),
        ([("lost.star", "coordinates")], 3),
    ],
)
def test_what_the_quarantine_took_is_not_asked_for(refused, n):
    names = pd.DataFrame({"path": ["a.csv", "all.star", "all.star", "z.csv"], "micrograph": ["a", "b", "c", ""]})
    rows = [Refused(path, stage, "bad") for path, stage in refused]
    assert n_quarantined({"x", "y", "w"}, names, rows) == n
