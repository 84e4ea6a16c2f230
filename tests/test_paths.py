import glob
import os
from pathlib import Path

import numpy as np
import pytest

from crisp_core.errors import UserError
from crisp_core.paths import check_patterns, exact_paths, matching_files, some_of, with_home

NAMES = [
    "day1/a.mrc",
    "day1/b.mrc",
    "day1/b.png",
    "day2/c.mrc",
    "day2/deep/er/d.mrc",
    "day2/.hidden.mrc",
    "grid [A]/mic[1].mrc",
    "grid [A]/mic1.mrc",
    "grid [A]/sub [x]/e.mrc",
    "grid A/mic1.mrc",
    "what?.mrc",
    "star*.mrc",
    "starry.mrc",
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in NAMES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    "pattern",
    [
        "day1/*.mrc",
        "day?/*.mrc",
        "**/*.mrc",
        "**",
        "day2/**/*.mrc",
        "day2/**",
        "*/[a-c].mrc",
        "./day1/*",
        "no/*.mrc",
        "*",
    ],
)
@pytest.mark.parametrize("absolute", [False, True])
def test_a_pattern_matches_what_the_standard_library_matches(folder, pattern, absolute):
    pattern = str(folder / pattern) if absolute else pattern
    expected = {os.path.normpath(path) for path in glob.glob(pattern, recursive=True)}
    found = matching_files(pattern)
    assert {os.path.normpath(path) for path in found} == expected
    assert found == sorted(found)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("grid [A]/*.mrc", ["grid [A]/mic1.mrc", "grid [A]/mic[1].mrc"]),
        ("grid [A]/mic[1].mrc", ["grid [A]/mic[1].mrc"]),
        ("grid [A]/**/*.mrc", ["grid [A]/mic1.mrc", "grid [A]/mic[1].mrc", "grid [A]/sub [x]/e.mrc"]),
        ("grid*/sub [x]/*.mrc", ["grid [A]/sub [x]/e.mrc"]),
        ("what?.mrc", ["what?.mrc"]),
        ("star*.mrc", ["star*.mrc"]),
        ("~/day2/*.mrc", ["{home}/day2/c.mrc"]),
        ("~/grid [A]/mic[1].mrc", ["{home}/grid [A]/mic[1].mrc"]),
        # no file or folder of this name: a pattern
        ("grid [BC]/mic1.mrc", []),
        ("grid[ AB]A/mic[12].mrc", ["grid A/mic1.mrc"]),
        # missing, but not a pattern: kept, to be told by name
        ("day1/missing.mrc", ["day1/missing.mrc"]),
        ("grid [A]/missing.mrc", ["grid [A]/missing.mrc"]),
    ],
)
def test_an_existing_path_is_itself(folder, pattern, expected):
    assert matching_files(pattern) == [path.replace("{home}", str(folder)) for path in expected]


def test_a_list_keeps_its_order_and_names_a_file_once(folder):
    found = matching_files(["day2/*.mrc", "day1/b.mrc", "day1/*"])
    assert found == ["day2/c.mrc", "day1/b.mrc", "day1/a.mrc", "day1/b.png"]


@pytest.mark.parametrize(
    ("patterns", "must_exist", "message"),
    [
        (
            ["day1/*.mrc", "day_2/*.mrc"],
            False,
            "key: no file matches day_2/*.mrc (there is no folder day_2); correct it",
        ),
        (["day1/*.mrc", "day2/*.tif"], False, "key: no file matches day2/*.tif; correct it or remove it"),
        (["day1/*.mrc", "mic[7].mrc"], False, "key: no file matches mic[7].mrc; "),
        ("day1/x.mrc", True, "key: no file matches day1/x.mrc; "),
        ("~/day3/*", False, "key: no file matches ~/day3/* (there is no folder {home}/day3); "),
        ("day1", False, "key: day1 is a folder; name its files, such as day1/*"),
        ("grid [A]", False, "key: grid [A] is a folder; "),
    ],
)
def test_a_pattern_without_a_match_is_named(folder, patterns, must_exist, message):
    with pytest.raises(UserError) as error:
        check_patterns("key", patterns, must_exist=must_exist)
    assert str(error.value).startswith(message.replace("{home}", str(folder)))


def test_what_may_be_missing(folder):
    check_patterns("key", ["day1/*.mrc", "day1/x.mrc", "what?.mrc"], must_exist=False)
    check_patterns("key", ["day1/*.mrc", "day_2/*.mrc", "x.star"], must_exist=True, may_arrive=True)


def test_exact_paths_are_told_from_patterns(folder):
    patterns = ["grid [A]/mic[1].mrc", "day1/*.mrc", "~/day1/a.mrc", "gone.mrc"]
    assert exact_paths(patterns) == [patterns[0], str(folder / "day1/a.mrc")]


def test_the_users_folder_is_found_in_any_setting(folder):
    value = {"a": ["~/x", "y"], "b": {"c": "~"}, "d": None, "e": 3}
    assert with_home(value) == {"a": [f"{folder}/x", "y"], "b": {"c": str(folder)}, "d": None, "e": 3}


def test_a_link_to_nothing_is_a_path_of_its_own(folder):
    Path("gone[1].mrc").symlink_to("nowhere")
    assert matching_files("gone[1].mrc") == ["gone[1].mrc"]


def test_two_spellings_of_a_path_are_one_file(folder):
    assert matching_files(["./day1/*.mrc", "day1/a.mrc", str(folder / "day1" / "b.mrc"), "day2/../day1/b.png"]) == [
        "./day1/a.mrc",
        "./day1/b.mrc",
        "day2/../day1/b.png",
    ]


@pytest.mark.parametrize(("n", "most"), [(0, 10), (1, 10), (10, 10), (19, 10), (25, 10), (3000, 10)])
def test_some_of_many_paths_are_spread_over_all(n, most):
    paths = [str(i) for i in range(n)]
    chosen = some_of(paths, most)
    assert len(chosen) == min(n, most) and chosen[:1] == paths[:1]
    gaps = np.diff([*map(int, chosen), n]) if n else []
    assert all(n // most <= gap <= -(-n // most) for gap in gaps)
