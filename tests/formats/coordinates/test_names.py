import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crisp_core.errors import UserError
from crisp_core.formats.coordinates.names import match_names, nearest_name
from crisp_core.formats.stems import micrograph_stem
from tests.formats.coordinates.tables import NAME, names


@pytest.mark.parametrize(
    ("name", "micrographs", "nearest"),
    [
        ("m7_DW", ["m70", "m7", "m8"], "m7"),
        ("m7", ["m70_noDW", "m7_noDW", "m77_noDW"], "m7_noDW"),
        ("coordinates/M7_autopick.star", ["m70", "m7", "m8"], "m7"),
        ("m7_patch_aligned_doseweighted", ["m8_noDW", "m7_noDW"], "m7_noDW"),
        ("a", ["xyz"], "xyz"),
    ],
)
def test_the_nearest_name_differs_in_what_a_program_adds(name, micrographs, nearest):
    assert nearest_name(name, micrographs) == nearest


UID, OTHER_UID = "0" * 19 + "17_", "9" * 21 + "_"


def test_names_match_on_the_stem():
    names = [
        f"job/extract/{NAME}.mrc",
        f"{UID}m1_autopick.star",
        f"{OTHER_UID}m2.mrc",
        "20180810123456_m1.mrc",
        "absent",
    ]
    matched = match_names(names, [NAME, "m1", f"{UID}m2"])
    assert matched.to_dict("list") == {"name": names, "micrograph": [NAME, "m1", f"{UID}m2", "", ""]}


def test_an_ambiguous_name_matches_none_but_an_equal_one_goes_first():
    micrographs = [f"{UID}m", f"{OTHER_UID}m"]
    assert list(match_names(["m", f"{UID}m.mrc"], micrographs)["micrograph"]) == ["", f"{UID}m"]


def test_no_match_at_all_is_refused_but_no_names_are_fine():
    with pytest.raises(UserError, match=r"none of 2 names matches a micrograph: 'a' …, while .* called 'b' …; rename"):
        match_names(["a", "c"], ["b"])
    assert len(match_names([], ["b"])) == 0


@settings(max_examples=60)
@given(
    stems=st.lists(names, min_size=1, max_size=5, unique_by=lambda name: micrograph_stem(f"{name}-1")),
    uid=st.integers(0, 10**21 - 1),
    on_files=st.booleans(),
)
def test_names_match_whatever_they_hold(stems, uid, on_files):
    """Unicode, blanks, quotes; cryoSPARC's prefix on either side; folders and suffixes."""
    stems = [micrograph_stem(f"{name}-1") for name in stems]
    prefixed = [f"{uid:021d}_{stem}" for stem in stems]
    given_names, files = (stems, prefixed) if on_files else (prefixed, stems)
    matched = match_names([f"J12/imported/{name}_autopick.star" for name in given_names], files)
    assert list(matched["micrograph"]) == files


def test_composed_and_decomposed_accents_are_one_name():
    composed, decomposed = "caf\u00e9_1", "cafe\u0301_1"
    for name, micrograph in ((composed, decomposed), (decomposed, composed)):
        assert match_names([f"{name}_autopick.star"], [f"m/{micrograph}.mrc", "m/cafe_1.mrc"])[
            "micrograph"
        ].tolist() == [f"m/{micrograph}.mrc"]


def test_a_name_of_two_micrographs_in_different_folders_matches_none():
    assert list(match_names(["a", "b"], ["J1/a.mrc", "J2/a.mrc", "J1/b.mrc"])["micrograph"]) == ["", "J1/b.mrc"]
    assert list(match_names(["a"], ["J1/a.mrc", "J1/a.mrc"])["micrograph"]) == ["J1/a.mrc"]
