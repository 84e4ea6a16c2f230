import numpy as np
import pytest

from crisp_core.datasets.corrections import merge_corrections, split_corrected, unchanged
from crisp_core.errors import UserError
from crisp_core.formats.corrections import Corrections

DIAMETER = 20


def entry(name="mic0", **changes):
    lists = {key: [] for key in ("kept", "added", "removed", "moved", "junk", "unsure")}
    facts = {"micrograph": name, "pixel_size_angstrom": 1.0, "shape_px": [100, 200], "reviewed": True, "verdict": None}
    return {**facts, **lists, **changes}


def file(author, *entries, minute=0, experiment="general"):
    facts = {"format": "CRISP corrections", "version": 1, "dataset": "mine", "experiment": experiment}
    saved = f"2026-11-28T20:{minute:02d}:00Z"
    return Corrections.model_validate(facts | {"author": author, "saved": saved, "micrographs": list(entries)})


def merged(*files):
    return merge_corrections(files, diameter_angstrom=DIAMETER)


def particles(found, name="mic0"):
    return sorted(map(tuple, found.micrographs[name].particles.tolist()))


def test_final_particles_are_kept_added_and_moved_ones():
    one = entry(kept=[[10, 10]], added=[[50, 50]], removed=[[90, 90]], moved=[[120, 30, 125, 30]])
    found = merged(file("A", one))
    assert particles(found) == [(10, 10), (50, 50), (125, 30)]
    assert found.micrographs["mic0"].removed.tolist() == [[90, 90]]
    assert not found.notices


def test_two_files_without_a_name_are_told_since_the_last_alone_counts():
    files = (file("", entry(added=[[10, 10], [20, 90]])), file("", entry(added=[[50, 50]]), entry("mic1"), minute=3))
    found = merged(*files)
    assert particles(found) == [(50, 50)]
    (notice,) = found.notices
    assert notice.startswith("corrections of mic0: 2 files without a name correct it, of which the last counts (1 such")
    named = merged(files[0], file("Bob", entry(added=[[50, 50]])))
    assert len(particles(named)) == 3 and not any("without a name correct" in line for line in named.notices)


def test_a_person_may_replace_a_pick_by_a_better_centred_one():
    found = merged(file("A", entry(added=[[52, 50]], removed=[[48, 50]])))
    assert particles(found) == [(52, 50)]


@pytest.mark.parametrize("reviewed", [True, False])
def test_what_one_person_says_stays_to_the_letter(reviewed):
    """A removed duplicate beside its particle, and neighbours nearer than half a diameter."""
    one = entry(kept=[[50, 50], [56, 50]], added=[[50, 56]], removed=[[52, 52]], reviewed=reviewed)
    found = merged(file("A", one))
    assert particles(found) == [(50, 50), (50, 56), (56, 50)] and not found.notices
    assert found.micrographs["mic0"].removed.tolist() == [[52, 52]]


def test_a_pick_in_junk_is_removed():
    junk = [{"radius_px": 8, "points": [[0, 50], [100, 50]]}]
    one = merged(file("A", entry(kept=[[40, 45], [40, 60]], junk=junk))).micrographs["mic0"]
    assert one.particles.tolist() == [[40, 60]] and one.removed.tolist() == [[40, 45]]
    # the label of junk says that there is none, so the truth must not say that there is one
    placed = entry(added=[[40, 60], [40, 50]], moved=[[40, 80, 45, 55]], junk=junk)
    one = merged(file("A", placed)).micrographs["mic0"]
    assert one.particles.tolist() == [[40, 60]] and one.removed.tolist() == [[40, 80], [40, 50], [45, 55]]


def test_a_pick_that_was_moved_far_has_left_its_place():
    first = file("A", entry(moved=[[90, 90, 90, 60]]))
    one = merged(first).micrographs["mic0"]
    assert one.particles.tolist() == [[90, 60]] and one.removed.tolist() == [[90, 90]]
    found = merged(first, file("B", entry(kept=[[90, 90]]), minute=3))
    assert found.notices and (90, 90) not in particles(found)


def test_an_untouched_pick_that_a_reviewer_lacks_is_no_particle():
    """B saw other picks, did not review, and left a pick where A, who reviewed, has none."""
    first = file("A", entry(kept=[[10, 10]], moved=[[90, 90, 90, 60]]))
    second = file("B", entry(kept=[[90, 90], [150, 50]], added=[[50, 50]], reviewed=False), minute=3)
    assert particles(merged(first, second)) == [(10, 10), (50, 50), (90, 60)]
    # nobody reviewed: the pick stays, and only the surroundings of changes count
    both = merged(file("A", entry(kept=[[10, 10]], reviewed=False)), second)
    assert particles(both) == [(10, 10), (50, 50), (90, 90), (150, 50)]


def test_of_one_author_the_latest_save_counts_for_each_micrograph():
    early = file("A", entry(added=[[10, 10]]), entry("mic1", added=[[1, 1]]))
    late = file("A", entry(added=[[30, 30]]), minute=5)
    found = merged(late, early)
    assert particles(found) == [(30, 30)] and particles(found, "mic1") == [(1, 1)]


def test_changes_of_several_authors_are_united():
    """B saw other picks and did not review: what B left untouched contradicts nothing."""
    first = file("A", entry(kept=[[10, 10]], removed=[[90, 90]], added=[[50, 50]]))
    second = file("B", entry(kept=[[11, 10], [90, 91]], added=[[51, 50], [150, 50]], reviewed=False), minute=3)
    found = merged(first, second)
    assert len(particles(found)) == 3
    assert (150, 50) in particles(found) and not any(x == 90 for x, _ in particles(found))
    # A reviewed the micrograph and has no particle there
    assert len(found.notices) == 1 and "A reviewed it and has none of 1 particles" in found.notices[0]


def test_a_contradiction_is_ignored_and_told():
    found = merged(file("A", entry(removed=[[90, 90]])), file("", entry(kept=[[91, 90]]), minute=1))
    one = found.micrographs["mic0"]
    assert not len(one.particles) and not len(one.removed) and one.disputed.tolist() == [[91, 90]]
    assert "at 91, 90 the author without a name has a particle and A has none" in found.notices[0]


def test_bad_wins_over_good_and_the_page_tells_it():
    found = merged(file("A", entry(verdict="bad")), file("B", entry(verdict="good")))
    assert found.micrographs["mic0"].bad and "another one as bad" in found.notices[0]


def test_the_digest_follows_the_statement_and_not_the_time_of_the_save():
    first, later = (merged(file("A", entry(added=[[10, 10]]), minute=m)).micrographs["mic0"] for m in (0, 9))
    assert first.digest == later.digest
    others = [entry(added=[[10, 11]]), entry(added=[[10, 10]], reviewed=False), entry(removed=[[10, 10]])]
    assert len({first.digest, *(merged(file("A", one)).micrographs["mic0"].digest for one in others)}) == 4


def test_a_file_that_changes_during_a_run_is_noticed():
    found = merged(file("A", entry()))
    with pytest.raises(UserError, match="changed while the workflow ran"):
        unchanged(found, {"mic0": "other"})


@pytest.mark.parametrize(("n", "n_train", "n_validation"), [(1, 1, 1), (2, 1, 1), (3, 2, 1), (8, 6, 2)])
def test_one_of_four_corrected_micrographs_validates(n, n_train, n_validation):
    names = [f"mic{i}" for i in range(n)]
    table = split_corrected(dict.fromkeys(names, True), train=16, validation=6, seed=1, source="mine")
    assert table["part"].value_counts().to_dict() == {"train": n_train, "validation": n_validation}
    assert set(table["micrograph"]) == set(names)


def test_only_trusted_micrographs_validate():
    table = split_corrected({"a": False, "b": True, "c": False}, train=16, validation=6, seed=1, source="mine")
    assert table.query("part == 'validation'")["micrograph"].tolist() == ["b"]
    with pytest.raises(UserError, match="mine: no corrected micrograph is marked as reviewed"):
        split_corrected({"a": False}, train=16, validation=6, seed=1, source="mine")


def test_lists_of_the_config_win():
    table = split_corrected(dict.fromkeys("abc", True), train=["c"], validation=["a"], seed=1, source="mine")
    assert dict(table.to_numpy().tolist()) == {"c": "train", "a": "validation"}
    assert np.all(table.columns == ["micrograph", "part"])
