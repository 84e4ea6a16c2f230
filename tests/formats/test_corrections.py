import copy
import json

import pytest

from crisp_core.errors import UserError
from crisp_core.formats.corrections import read_corrections

ONE = {
    "micrograph": "mic0",
    "pixel_size_angstrom": 1.77,
    "shape_px": [100, 200],
    "reviewed": True,
    "verdict": None,
    "kept": [[10.5, 20]],
    "added": [[199.4, 99.4]],
    "removed": [[30, 40]],
    "moved": [[50, 60, 52.25, 61]],
    "junk": [{"radius_px": 6.0, "points": [[-3, 90], [20, 95]]}],
    "unsure": [],
}
FILE = {
    "format": "CRISP corrections",
    "version": 1,
    "dataset": "mine",
    "experiment": "general",
    "author": "A. Person",
    "saved": "2026-11-28T20:15:00Z",
    "micrographs": [ONE],
}


def written(folder, content):
    path = folder / "corrections.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_a_file_is_read_as_it_was_written(tmp_path):
    found = read_corrections(written(tmp_path, FILE))
    assert found.plain() == FILE
    assert found.saved_at.hour == 20 and found.saved_at.utcoffset().total_seconds() == 0


WRONG = {
    "version": (("version",), 2, "version: 2 is not 1"),
    "format": (("format",), "other", "is not a file of corrections"),
    "time": (("saved",), "yesterday", "saved: 'yesterday' is not a time"),
    "time without zone": (("saved",), "2026-11-28T20:15:00", "is not a time with its zone"),
    "verdict": (("micrographs", 0, "verdict"), "ugly", "verdict: 'ugly' is not allowed"),
    "unknown key": (("micrographs", 0, "extra"), 1, "unknown key 'extra'"),
    "shape": (("micrographs", 0, "shape_px"), [100], "shape_px: [100] has too few entries"),
    "three numbers": (("micrographs", 0, "added"), [[1, 2, 3]], "added/0: [1, 2, 3] is not a list of 2 finite numbers"),
    "not finite": (("micrographs", 0, "added"), [[float("nan"), 2]], "is not a list of 2 finite numbers"),
    "too many digits": (("micrographs", 0, "added"), [[10**400, 2]], "is not a list of 2 finite numbers"),
    "text": (("micrographs", 0, "moved"), [[1, 2, "3", 4]], "is not a list of 4 finite numbers"),
    "outside": (("micrographs", 0, "added"), [[199.5, 5]], "mic0/added: 199.5, 5 is outside of the micrograph of 100"),
    "moved outside": (("micrographs", 0, "moved"), [[1, 2, 3, -0.6]], "mic0/moved: 3, -0.6 is outside"),
    "kept and removed": (
        ("micrographs", 0, "removed"),
        [[10.52, 20]],
        "the pick at 10.52, 20 is also removed or moved",
    ),
    "radius": (("micrographs", 0, "junk"), [{"radius_px": 0, "points": [[1, 2]]}], "radius_px: 0 is too small"),
    "no point": (("micrographs", 0, "junk"), [{"radius_px": 1, "points": []}], "points: [] has too few entries"),
    "twice": (("micrographs",), [ONE, ONE], "micrograph mic0 is listed twice"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_is_one_line_with_the_file_and_the_key(tmp_path, name):
    (*keys, last), value, message = WRONG[name]
    content = copy.deepcopy(FILE)
    place = content
    for key in keys:
        place = place[key]
    place[last] = value
    path = written(tmp_path, content)
    with pytest.raises(UserError) as error:
        read_corrections(path)
    assert str(error.value).startswith(str(path)) and message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_key_is_named(tmp_path):
    content = copy.deepcopy(FILE)
    del content["micrographs"][0]["reviewed"]
    with pytest.raises(UserError, match=r"micrographs/0: reviewed is missing"):
        read_corrections(written(tmp_path, content))


@pytest.mark.parametrize(
    "text", ["", "{", "[" * 100_000, "[]", "1", "9" * 5000], ids=["empty", "cut", "deep", "list", "number", "digits"]
)
def test_other_files_are_refused(tmp_path, text):
    with pytest.raises(UserError, match=r"is not JSON|is not a file of corrections"):
        read_corrections(written(tmp_path, text))
