import pytest
from hypothesis import given
from hypothesis import strategies as st

from crisp_core.datasets.batches import Place, assign_batches, read_places, write_places
from crisp_core.errors import UserError

NAMES = [f"m{i}" for i in range(7)]


def test_a_first_run_is_cut_into_batches_in_order():
    places = assign_batches(NAMES, {}, size=3, closed=False)
    assert [place.batch for place in places.values()] == [0, 0, 0, 1, 1, 1, 2]
    assert list(places) == NAMES
    assert {place.addition for place in places.values()} == {0}


def test_what_is_new_fills_new_batches_although_it_sorts_first():
    kept = assign_batches(NAMES, {}, size=3, closed=False)
    places = assign_batches(["a", "b", *NAMES], kept, size=3, closed=True)
    assert {name: places[name] for name in NAMES} == kept
    assert places["a"] == places["b"] == Place(3, 1)


def test_before_the_parts_are_drawn_what_is_new_belongs_to_the_first_run():
    kept = assign_batches(NAMES, {}, size=3, closed=False)
    assert assign_batches([*NAMES, "z"], kept, size=3, closed=False)["z"] == Place(3, 0)


def test_a_lost_split_does_not_open_the_first_run_again():
    kept = {"a": Place(0, 0), "b": Place(1, 1)}
    assert assign_batches(["a", "b", "c"], kept, size=3, closed=False)["c"] == Place(2, 2)


def test_a_micrograph_that_was_away_comes_back_to_its_place():
    kept = assign_batches(NAMES, {}, size=3, closed=False)
    fewer = assign_batches(NAMES[1:], kept, size=3, closed=True)
    assert "m0" not in fewer and fewer.items() <= kept.items()
    assert assign_batches(NAMES, kept, size=5, closed=True) == kept


@given(st.lists(st.sets(st.integers(0, 40), min_size=1), min_size=1, max_size=5), st.integers(1, 6))
def test_whatever_arrives_no_place_changes_and_no_batch_overflows(arrivals, size):
    kept, names = {}, set()
    for arrived in arrivals:
        names |= {f"m{i}" for i in arrived}
        places = assign_batches(sorted(names), kept, size=size, closed=True)
        assert kept.items() <= places.items() and places.keys() == names
        kept = places
    numbers = [place.batch for place in kept.values()]
    assert max(map(numbers.count, numbers)) <= size
    assert sorted(set(numbers)) == list(range(max(numbers) + 1))
    assert all(len({p.addition for p in kept.values() if p.batch == b}) == 1 for b in numbers)


def test_places_are_read_as_they_were_written(tmp_path):
    places = assign_batches(NAMES, {"old": Place(12_345, 2)}, size=2, closed=True)
    write_places(tmp_path / "new/batches.tsv", places)
    assert read_places(tmp_path / "new/batches.tsv") == places
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["batches.tsv"]


def test_without_a_file_nothing_has_a_place(tmp_path):
    assert read_places(tmp_path / "batches.tsv") == {}


@pytest.mark.parametrize(
    ("text", "line"),
    [("", 1), ("m0\t0000\t0\n", 1), ("micrograph\tbatch\taddition\nm0\t0000\n", 2)],
)
def test_a_damaged_file_is_one_line(tmp_path, text, line):
    path = tmp_path / "batches.tsv"
    path.write_text(text)
    with pytest.raises(UserError, match=f"batches.tsv: line {line} is not a micrograph with its batch and addition; "):
        read_places(path)
