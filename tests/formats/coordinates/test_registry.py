import json
import math
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crisp_core.errors import UserError
from crisp_core.formats.coordinates.reference import format_table
from crisp_core.formats.coordinates.registry import COORDINATE_FORMATS, FORMATS, read_coordinates, write_coordinates
from crisp_core.formats.coordinates.table import COLUMNS
from crisp_core.formats.stems import micrograph_stem
from tests.conftest import ROOT
from tests.formats.coordinates.tables import NAME, coordinate, names, read, table

WRITTEN = {format.name: format for format in COORDINATE_FORMATS if format.write is not None}
KEEPS_SCORES = [name for name, format in WRITTEN.items() if format.score is not None]
MANY_MICROGRAPHS = [name for name, format in WRITTEN.items() if not format.one_micrograph]
ONE_MICROGRAPH = [name for name, format in WRITTEN.items() if format.one_micrograph]

SUFFIXES = [
    re.escape(suffix) for suffix in dict.fromkeys(suffix for each in COORDINATE_FORMATS for suffix in each.suffixes)
]


def round_trip(directory, kind, given, stem=NAME):
    path = directory / f"{stem}{WRITTEN[kind].suffixes[0]}"
    write_coordinates(path, given, format=kind, size_px=108)
    return read_coordinates(path)


@pytest.mark.parametrize("kind", WRITTEN)
def test_coordinates_come_back(tmp_path, kind):
    given_table = table(scores=[0.5, -3.25, 7] if kind in KEEPS_SCORES else None)
    back = round_trip(tmp_path, kind, given_table)[list(COLUMNS)]
    pd.testing.assert_frame_equal(back, given_table, rtol=0, atol=WRITTEN[kind].rounding_px)


@pytest.mark.parametrize("kind", WRITTEN)
def test_coordinates_without_scores_come_back(tmp_path, kind):
    back = round_trip(tmp_path, kind, table())
    assert back["score"].isna().all() and len(back) == 3


@pytest.mark.parametrize("kind", KEEPS_SCORES)
def test_a_single_missing_score_stays_missing(tmp_path, kind):
    back = round_trip(tmp_path, kind, table(scores=[0.5, math.nan, 2]))
    np.testing.assert_array_equal(back["score"], [0.5, math.nan, 2])


@pytest.mark.parametrize("kind", WRITTEN)
def test_empty_tables_come_back(tmp_path, kind):
    back = round_trip(tmp_path, kind, table(xy=()))
    assert len(back) == 0
    assert back[list(COLUMNS)].dtypes.to_dict() == table().dtypes.to_dict()


@pytest.mark.parametrize("kind", WRITTEN)
@settings(max_examples=15, deadline=None)
@given(xy=st.lists(st.tuples(coordinate, coordinate), max_size=6))
def test_any_coordinate_comes_back_within_the_formats_rounding(directory, kind, xy):
    back = round_trip(directory, kind, table(xy=xy))
    np.testing.assert_allclose(back[["x", "y"]], np.reshape(xy, (-1, 2)), rtol=0, atol=WRITTEN[kind].rounding_px + 1e-9)


@pytest.mark.parametrize("kind", WRITTEN)
@settings(max_examples=15)
@given(size=st.floats(2, 1000), xy=st.lists(st.tuples(coordinate, coordinate), max_size=4))
def test_the_size_of_the_box_moves_no_centre(directory, kind, size, xy):
    path = directory / f"sized{WRITTEN[kind].suffixes[0]}"
    write_coordinates(path, table(xy=xy), format=kind, size_px=size)
    atol = WRITTEN[kind].rounding_px + 1e-9
    np.testing.assert_allclose(read_coordinates(path)[["x", "y"]], np.reshape(xy, (-1, 2)), rtol=0, atol=atol)


@pytest.mark.parametrize("kind", WRITTEN)
@settings(max_examples=15)
@given(xy=st.lists(st.tuples(coordinate, coordinate), max_size=4), score=st.floats(-100, 100, width=32))
def test_a_second_round_changes_nothing(directory, kind, xy, score):
    """What was read is already rounded to the format's digits."""
    once = round_trip(directory, kind, table(xy=xy, scores=[score] * len(xy)))
    pd.testing.assert_frame_equal(round_trip(directory, kind, once), once, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", MANY_MICROGRAPHS)
@settings(max_examples=60)
@given(name=names)
def test_any_name_comes_back_or_is_refused(directory, kind, name):
    """STAR files hold no blanks; tables quote what they must, and hold anything but line breaks."""
    name = micrograph_stem(f"{name}-1")
    has_break = len(name.splitlines()) > 1 or "\0" in name
    blank = any(c.isspace() or c in "\"'#" or ord(c) < 32 or ord(c) == 127 for c in name)
    if has_break or (blank and not WRITTEN[kind].holds_blanks):
        with pytest.raises(UserError, match="cannot hold the"):
            round_trip(directory, kind, table(micrograph=name))
    else:
        assert list(round_trip(directory, kind, table(micrograph=name))["micrograph"]) == [name] * 3


@pytest.mark.parametrize("kind", ["topaz", "table"])
@pytest.mark.parametrize("name", ["my micrograph", "a,b", 'say "x"', "β-gal 1", " m", "NA", "nan"])
def test_names_that_a_table_quotes(tmp_path, kind, name):
    assert set(round_trip(tmp_path, kind, table(micrograph=name))["micrograph"]) == {name}


@pytest.mark.parametrize("kind", MANY_MICROGRAPHS)
def test_many_micrographs_in_one_file(tmp_path, kind):
    both = pd.concat([table(), table(micrograph="other")], ignore_index=True)
    back = round_trip(tmp_path, kind, both, stem="all")
    # a format may add the sizes of its picks
    pd.testing.assert_frame_equal(back[list(both)], both, atol=6e-5)


@pytest.mark.parametrize("kind", ONE_MICROGRAPH)
def test_one_micrograph_formats_refuse_many(tmp_path, kind):
    both = pd.concat([table(), table(micrograph="other")])
    with pytest.raises(ValueError, match="one micrograph per file"):
        write_coordinates(tmp_path / "m.x", both, format=kind, size_px=10)


@pytest.mark.parametrize("suffix", ["_autopick.star", "_manualpick.star", ".star"])
def test_micrograph_of_a_per_micrograph_file(tmp_path, suffix):
    write_coordinates(tmp_path / f"{NAME}{suffix}", table(), format="relion")
    assert set(read_coordinates(tmp_path / f"{NAME}{suffix}")["micrograph"]) == {NAME}
    assert set(read_coordinates(tmp_path / f"{NAME}{suffix}", micrograph="told")["micrograph"]) == {"told"}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "m.csv",
            "a,b\n1,2\n",
            r"its first line names no coordinate columns \(a b\); start the file with a line 'x,y'",
        ),
        ("m.csv", "1,2\n3,4\n", r"its first line names no coordinate columns \(1 2\)"),
        ("m.csv", "", r"has no header line; write one \(for instance 'x,y'\), even if it has no particles"),
        ("m.csv", "x,y,X\n1,2,3\n", "the first line has the column x twice; remove one of the two"),
        ("m.csv", "x,y\n1,2\n\n3,four\n", "line 4: y is 'four', which is not a number; correct or remove the line"),
        ("m.csv", "x,y\n1,\n", "line 2: y is '', which is not a number"),
        ("m.csv", "x,y\n1,inf\n", "line 2: y is 'inf', which is not a number"),
        ("m.csv", "x,y,score\n1,2,good\n", "line 2: score is 'good', which is not a number"),
        ("m.csv", "x,y\n1,2\n1,2,3\n", "line 3 has 3 columns and not 2; correct or remove the line"),
        (
            "m.csv",
            "X-Coordinate,Y-Coordinate,Diameter\n1,2,wide\n",
            "line 2: diameter is 'wide', which is not a number",
        ),
        ("m.txt", "image_name\tx_coord\ty_coord\nm\t1\tb\n", "line 2: y_coord is 'b', which is not a number"),
        ("m.box", "1 2 3\n", "its first line has 3 columns, an EMAN box has 4 or 5 .*; export the boxes again"),
        ("m.box", "1 2 3 4\n1 2 3 4 5\n", "line 2 has 5 columns and not 4"),
        ("m.box", "1 2 180 180\n1 b 180 180\n", "line 2: y is 'b', which is not a number"),
        ("m.star", "", "holds no STAR data block; check that it is a STAR file and not empty"),
        ("m.star", "data_\n\nloop_\n_rlnVoltage #1\n300\n", "has no column rlnCoordinateX; export it with that column"),
        ("m.star", "data_\n\nloop_\n_rlnCoordinateX #1\n300\n", "has no column rlnCoordinateY"),
        (
            "m.star",
            "data_\n\nloop_\n_rlnCoordinateX #1\n_rlnCoordinateY #2\n1 2\n3 north\n",
            "line 7: rlnCoordinateY is 'north', which is not a number; correct or remove the line",
        ),
        ("m.cbox", "data_\n\nloop_\n_CoordinateX #1\n1\n", "has no block data_cryolo; give a .cbox file of crYOLO 1.8"),
        ("m.cbox", "data_cryolo\n\nloop_\n_CoordinateX #1\n1\n", "has no column CoordinateY; export it with that"),
        ("m.json", "{", 'is not a JSON file with "boxes"; give an _info.json of EMAN2 with boxed particles'),
        ("m.json", '{"quality": 5}', 'is not a JSON file with "boxes"'),
        ("m.json", "[1, 2]", 'is not a JSON file with "boxes"'),
        (
            "m.json",
            '{"boxes": [[1, 2, "manual"], [1, 2, 3]]}',
            r'box 2 is not of the form \[x, y, "kind", …\]; box the',
        ),
        ("m.json", '{"boxes": [[1, NaN, "manual"]]}', r"box 1 is not of the form"),
        ("m.json", '{"boxes": 3}', r"box 1 is not of the form"),
        ("m.json", f'{{"boxes": [[{"9" * 400}, 2, "manual"]]}}', r"box 1 is not of the form"),
        ("m.json", f'{{"boxes": [[{"9" * 5000}, 2, "manual"]]}}', 'is not a JSON file with "boxes"'),
        ("m.csv", f"x,y,micrograph\n1,2,{'m' * 2**18}\n", "has a line that is not a row of a table"),
        ("m.star", f"data_\n\nloop_\n_rlnCoordinateX #1\n{'9' * 400}\n", "is not a valid STAR file"),
        ("m.cs", b"text", r"is not a cryoSPARC \.cs file; export the particles again"),
        ("m.pos", "1 2\n", rf"unknown suffix '\.pos'; use {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}$"),
        ("m.csv", b"\x93\xff\xfe", "is not a text file"),
    ],
)
def test_bad_files_name_themselves_the_line_and_the_cure(tmp_path, name, content, message):
    with pytest.raises(UserError, match=message) as caught:
        read(tmp_path / name, content)
    assert name in str(caught.value) and "\n" not in str(caught.value)


def test_cryosparc_files_are_written_elsewhere(tmp_path):
    with pytest.raises(
        ValueError, match=r"format cryosparc is not written here; see crisp_core\.formats\.cryosparc_picks\.write_picks"
    ):
        write_coordinates(tmp_path / "m.cs", table(), format="cryosparc")


def test_missing_file_unknown_format_and_wrong_format(tmp_path):
    with pytest.raises(UserError, match=r"absent\.csv: no such file; check the path"):
        read_coordinates(tmp_path / "absent.csv")
    with pytest.raises(UserError, match="unknown coordinate format 'imagic'; use auto or one of relion, "):
        read(tmp_path / "m.csv", "x,y\n1,2\n", format="imagic")
    with pytest.raises(UserError, match=r"has no column x-coordinate \(it has x y\); name it in the first line"):
        read(tmp_path / "m.csv", "x,y\n1,2\n", format="cryoppp")


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_a_table_in_another_encoding_is_told_to_be_one(tmp_path, encoding):
    (tmp_path / "m.csv").write_text("x,y,micrograph\n1,2,Größe\n", encoding=encoding)
    with pytest.raises(UserError, match=r"m\.csv: is not a text file of UTF-8; .*save a table .* as UTF-8"):
        read_coordinates(tmp_path / "m.csv")


def test_the_schema_lists_the_formats_of_the_registry():
    schema = json.loads((ROOT / "rules/schemas/config.schema.json").read_text())

    def enumerations(node):
        if isinstance(node, dict):
            if "relion-particles" in (choices := node.get("enum", [])):
                yield choices
            node = list(node.values())
        if isinstance(node, list):
            for item in node:
                yield from enumerations(item)

    found = list(enumerations(schema))
    assert found == [["auto", *FORMATS]] * len(found)
    assert len(found) == 2


def test_the_documentation_has_the_table_of_the_registry():
    assert format_table() in (ROOT / "docs/formats.md").read_text()


def test_names_are_unique_and_every_suffix_is_decided_by_suffix_or_header():
    assert len(set(FORMATS)) == len(FORMATS)
    for format in COORDINATE_FORMATS:
        others = [other for other in COORDINATE_FORMATS if set(other.suffixes) & set(format.suffixes)]
        # a header test for all formats of a suffix, or for none: then the first one reads the files of the others
        assert len({other.accepts_header is None for other in others}) == 1
        assert format.accepts_header is not None or {other.read for other in others} == {format.read}
