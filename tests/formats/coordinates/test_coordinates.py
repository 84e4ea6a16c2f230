import json
import math
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from crisp_core.errors import UserError
from crisp_core.formats.coordinates import registry as co
from crisp_core.formats.cs_files import LOCATION_FIELDS, SCORE_FIELD, write_cs
from crisp_core.geometry import rescaled_xy

# Suffix, and how far nine digits (EMAN: whole pixels) leave a coordinate from what was written.
FORMATS = {
    "relion": (".star", 6e-5),
    "relion-particles": (".star", 6e-5),
    "eman": (".box", 0.5),
    "eman-json": (".json", 0),
    "cryoppp": (".csv", 6e-5),
    "topaz": (".txt", 6e-5),
    "cryolo": (".cbox", 6e-5),
    "table": (".tsv", 6e-5),
}
KEEPS_SCORES = [name for name in FORMATS if name != "cryoppp"]
NAME = "May08_04.33.57"


def table(xy=((0, 0), (1.25, 4095.75), (100, 7)), scores=None, micrograph=NAME):
    x, y = np.array(xy, dtype=float).reshape(-1, 2).T
    names = pd.Series([micrograph] * len(x), dtype="str")
    scores = np.full(len(x), np.nan) if scores is None else np.asarray(scores, dtype=float)
    return pd.DataFrame({"micrograph": names, "x": x, "y": y, "score": scores})


def round_trip(directory, kind, given, stem=NAME):
    path = directory / f"{stem}{FORMATS[kind][0]}"
    co.write_coordinates(path, given, format=kind, size_px=108)
    return co.read_coordinates(path)


@pytest.mark.parametrize("kind", FORMATS)
def test_coordinates_come_back(tmp_path, kind):
    given_table = table(scores=[0.5, -3.25, 7] if kind in KEEPS_SCORES else None)
    back = round_trip(tmp_path, kind, given_table)[list(co.COLUMNS)]
    pd.testing.assert_frame_equal(back, given_table, rtol=0, atol=FORMATS[kind][1])


@pytest.mark.parametrize("kind", FORMATS)
def test_coordinates_without_scores_come_back(tmp_path, kind):
    back = round_trip(tmp_path, kind, table())
    assert back["score"].isna().all() and len(back) == 3


@pytest.mark.parametrize("kind", KEEPS_SCORES)
def test_a_single_missing_score_stays_missing(tmp_path, kind):
    back = round_trip(tmp_path, kind, table(scores=[0.5, math.nan, 2]))
    np.testing.assert_array_equal(back["score"], [0.5, math.nan, 2])


@pytest.mark.parametrize("kind", FORMATS)
def test_empty_tables_come_back(tmp_path, kind):
    back = round_trip(tmp_path, kind, table(xy=()))
    assert len(back) == 0
    assert back[list(co.COLUMNS)].dtypes.to_dict() == table().dtypes.to_dict()


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return tmp_path_factory.mktemp("coordinates")


coordinate = st.floats(min_value=-50, max_value=12000, allow_nan=False)


@pytest.mark.parametrize("kind", FORMATS)
@settings(max_examples=15, deadline=None)
@given(xy=st.lists(st.tuples(coordinate, coordinate), max_size=6))
def test_any_coordinate_comes_back_within_the_formats_rounding(directory, kind, xy):
    back = round_trip(directory, kind, table(xy=xy))
    np.testing.assert_allclose(back[["x", "y"]], np.reshape(xy, (-1, 2)), rtol=0, atol=FORMATS[kind][1] + 1e-9)


@pytest.mark.parametrize("kind", ["eman", "eman-json", "cryoppp", "cryolo"])
@settings(max_examples=15)
@given(size=st.floats(2, 1000), xy=st.lists(st.tuples(coordinate, coordinate), max_size=4))
def test_the_size_of_the_box_moves_no_centre(directory, kind, size, xy):
    path = directory / f"sized{FORMATS[kind][0]}"
    co.write_coordinates(path, table(xy=xy), format=kind, size_px=size)
    atol = FORMATS[kind][1] + 1e-9
    np.testing.assert_allclose(co.read_coordinates(path)[["x", "y"]], np.reshape(xy, (-1, 2)), rtol=0, atol=atol)


@pytest.mark.parametrize("kind", FORMATS)
@settings(max_examples=15)
@given(xy=st.lists(st.tuples(coordinate, coordinate), max_size=4), score=st.floats(-100, 100, width=32))
def test_a_second_round_changes_nothing(directory, kind, xy, score):
    """What was read is already rounded to the format's digits."""
    once = round_trip(directory, kind, table(xy=xy, scores=[score] * len(xy)))
    pd.testing.assert_frame_equal(round_trip(directory, kind, once), once, rtol=0, atol=1e-12)


@given(xy=st.lists(st.tuples(coordinate, coordinate), max_size=4), height=st.integers(1, 10**5))
def test_an_origin_there_and_back_is_the_identity(xy, height):
    given_table = table(xy=xy)
    there = co.to_top_left(given_table, {NAME: height}, origin="bottom-left")
    back = co.to_top_left(there, {NAME: height}, origin="bottom-left")
    np.testing.assert_allclose(back[["x", "y"]], given_table[["x", "y"]], rtol=0, atol=1e-9)


@given(xy=st.lists(st.tuples(coordinate, coordinate), max_size=4), shape=st.tuples(*[st.integers(1, 10**4)] * 4))
def test_a_scale_there_and_back_is_the_identity(xy, shape):
    xy = np.reshape(xy, (-1, 2))
    there = rescaled_xy(xy, shape[:2], shape[2:])
    np.testing.assert_allclose(rescaled_xy(there, shape[2:], shape[:2]), xy, rtol=0, atol=1e-9)


names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\\"), min_size=1, max_size=8)


@pytest.mark.parametrize("kind", ["relion-particles", "topaz", "table"])
@settings(max_examples=60)
@given(name=names)
def test_any_name_comes_back_or_is_refused(directory, kind, name):
    """STAR files hold no blanks; tables quote what they must, and hold anything but line breaks."""
    name = co.micrograph_stem(f"{name}-1")
    has_break = len(name.splitlines()) > 1 or "\0" in name
    blank = any(c.isspace() or c in "\"'#" or ord(c) < 32 or ord(c) == 127 for c in name)
    if has_break or (kind == "relion-particles" and blank):
        with pytest.raises(UserError, match="cannot hold the"):
            round_trip(directory, kind, table(micrograph=name))
    else:
        assert list(round_trip(directory, kind, table(micrograph=name))["micrograph"]) == [name] * 3


@pytest.mark.parametrize("kind", ["topaz", "table"])
@pytest.mark.parametrize("name", ["my micrograph", "a,b", 'say "x"', "β-gal 1", " m", "NA", "nan"])
def test_names_that_a_table_quotes(tmp_path, kind, name):
    assert set(round_trip(tmp_path, kind, table(micrograph=name))["micrograph"]) == {name}


@pytest.mark.parametrize("kind", ["relion-particles", "topaz", "table"])
def test_many_micrographs_in_one_file(tmp_path, kind):
    both = pd.concat([table(), table(micrograph="other")], ignore_index=True)
    back = round_trip(tmp_path, kind, both, stem="all")
    pd.testing.assert_frame_equal(back, both, atol=6e-5)


@pytest.mark.parametrize("kind", co.ONE_MICROGRAPH)
def test_one_micrograph_formats_refuse_many(tmp_path, kind):
    both = pd.concat([table(), table(micrograph="other")])
    with pytest.raises(ValueError, match="one micrograph per file"):
        co.write_coordinates(tmp_path / "m.x", both, format=kind, size_px=10)


def read(path, content, **options):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return co.read_coordinates(path, **options)


def rows(frame):
    return frame[["x", "y", "score"]].to_numpy().tolist()


def test_eman_corner_becomes_centre(tmp_path):
    back = read(tmp_path / "m.box", "10\t20\t180\t100\t0.5\n\n-90 0 181 181 -999\n")
    np.testing.assert_array_equal(back[["x", "y", "score"]], [[100, 70, 0.5], [0.5, 90.5, math.nan]])
    assert rows(read(tmp_path / "m.box", "10 20 100 100\r\n"))[0][:2] == [60, 70]


def test_written_eman_box_is_a_corner_of_integers(tmp_path):
    co.write_coordinates(tmp_path / "m.box", table([[100, 70]], scores=[0.5]), format="eman", size_px=180)
    assert (tmp_path / "m.box").read_text() == "10\t-20\t180\t180\t0.5\n"


def test_eman_json_as_e2boxer_writes_it(tmp_path):
    content = {
        "boxes": [[718.5, 131.0, "manual"], [20, 30, "auto_convnet", 0.75, 0], [1, 2, "auto_local", {"a": 1}]],
        "quality": 5,
        "ctf": ["EMAN2Ctf", None],
    }
    (tmp_path / "info").mkdir()
    back = read(tmp_path / "info/m_info.json", json.dumps(content, indent=1))
    expected = [[718.5, 131, math.nan], [20, 30, 0.75], [1, 2, math.nan]]
    np.testing.assert_array_equal(back[["x", "y", "score"]], expected)
    assert set(back["micrograph"]) == {"m"}
    assert list(co.match_names(["info/m_info.json"], ["m"])["micrograph"]) == ["m"]


def test_written_eman_json(tmp_path):
    co.write_coordinates(tmp_path / "m.json", table([[1.5, 2], [3, 4]], scores=[0.5, math.nan]), format="eman-json")
    assert (tmp_path / "m.json").read_text() == '{"boxes": [[1.5, 2.0, "auto_convnet", 0.5], [3.0, 4.0, "manual"]]}\n'


def test_a_star_block_of_single_values_is_one_particle(tmp_path):
    assert rows(read(tmp_path / "m.star", "data_\n\n_rlnCoordinateX 10.5\n_rlnCoordinateY 20\n"))[0][:2] == [10.5, 20]


def test_cryoppp_keeps_the_diameter(tmp_path):
    back = read(tmp_path / "m.csv", "X-Coordinate,Y-Coordinate,Diameter\n718,131,108\n")
    assert back.iloc[0].drop("score").to_dict() == {"micrograph": "m", "x": 718, "y": 131, "diameter_px": 108}


def test_cryolo_cbox_as_crYOLO_writes_it(tmp_path):
    content = (
        "\ndata_global\n\n_version 1.0\n\ndata_cryolo\n\nloop_\n_CoordinateX #1\n_CoordinateY #2\n_CoordinateZ #3\n"
        "_Width #4\n_Height #5\n_Depth #6\n_EstWidth #7\n_EstHeight #8\n_Confidence #9\n_NumBoxes #10\n_Angle #11\n"
        "10.5 20.0 <NA> 180.0 100.0 <NA> 170.0 171.0 0.75 <NA> <NA>\n\n"
        "data_cbox_include_list\n\nloop_\n_slice_index #1\n0\n\n"
    )
    assert rows(read(tmp_path / "m.cbox", content)) == [[100.5, 70, 0.75]]


def test_casspers_sentinel_is_no_score(tmp_path):
    content = (
        "\r\ndata_\r\n\r\nloop_\r\n_rlnCoordinateX #1 \r\n_rlnCoordinateY #2\r\n_rlnClassNumber #3\r\n"
        "_rlnAutopickFigureOfMerit  #4\r\n579.000000\t3912.000000\t-999\t-999.000000\r\n3475.0\t3904.0\t-999\t0.25\r\n"
    )
    back = read(tmp_path / "m_autopick.star", content)
    np.testing.assert_array_equal(back[["x", "y", "score"]], [[579, 3912, math.nan], [3475, 3904, 0.25]])
    assert set(back["micrograph"]) == {"m"}


@pytest.mark.parametrize(
    "content",
    [
        "X,Y,Score,Micrograph\n1,2,0.5,a/m1.mrc\n",
        "x\ty\tscore\tmicrograph\n1\t2\t0.5\tm1\n",
        "x y score micrograph\n1 2 .5 m1",
    ],
)
def test_plain_tables_in_any_case_and_separator(tmp_path, content):
    back = read(tmp_path / "all.txt", content)
    assert rows(back) == [[1, 2, 0.5]] and list(back["micrograph"]) == ["m1"]


def test_spreadsheet_oddities(tmp_path):
    back = read(tmp_path / "m.csv", '\ufeff"x","y","score"\r\n"1.5", 2 ,\r\n\r\n3,4,nan\r\n')
    np.testing.assert_array_equal(back[["x", "y"]], [[1.5, 2], [3, 4]])
    assert back["score"].isna().all()


@pytest.mark.parametrize("suffix", ["_autopick.star", "_manualpick.star", ".star"])
def test_micrograph_of_a_per_micrograph_file(tmp_path, suffix):
    co.write_coordinates(tmp_path / f"{NAME}{suffix}", table(), format="relion")
    assert set(co.read_coordinates(tmp_path / f"{NAME}{suffix}")["micrograph"]) == {NAME}
    assert set(co.read_coordinates(tmp_path / f"{NAME}{suffix}", micrograph="told")["micrograph"]) == {"told"}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "m.csv",
            "a,b\n1,2\n",
            r"its first line names no coordinate columns \(a b\); start the file with a line 'x,y'",
        ),
        ("m.csv", "1,2\n3,4\n", r"its first line names no coordinate columns \(1 2\)"),
        ("m.csv", "", r"has no header line; write one \(for instance 'x,y'\), also where there are no particles"),
        ("m.csv", "x,y,X\n1,2,3\n", "column x stands twice in the first line; remove one of the two"),
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
        ("m.box", "1 2 3\n", "an EMAN box line has 4 or 5 columns .*, this has 3; |has 4 or 5 columns"),
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
        ("m.csv", f"x,y,micrograph\n1,2,{'m' * 2**18}\n", "has a line that is no row of a table"),
        ("m.star", f"data_\n\nloop_\n_rlnCoordinateX #1\n{'9' * 400}\n", "is not a valid STAR file"),
        ("m.cs", b"text", r"is not a cryoSPARC \.cs file; export the particles again"),
        ("m.pos", "1 2\n", r"unknown suffix '\.pos'; use \.star, \.box, \.json, \.cbox, \.cs, \.csv, \.tsv or \.txt"),
        ("m.csv", b"\x93\xff\xfe", "is not a text file"),
    ],
)
def test_bad_files_name_themselves_the_line_and_the_cure(tmp_path, name, content, message):
    with pytest.raises(UserError, match=message) as caught:
        read(tmp_path / name, content)
    assert name in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("location/center_x_frac", np.nan, "a location is not a number"),
        (SCORE_FIELD, np.inf, "a score is infinite"),
    ],
)
def test_numbers_of_cryosparc_files_are_finite(tmp_path, field, value, message):
    path, shape, *places = LOCATION_FIELDS
    rows = np.zeros(2, dtype=[(path, "S8"), (shape, "<u4", 2), *((name, "<f4") for name in (*places, SCORE_FIELD))])
    write_cs(tmp_path / "m.cs", rows)
    assert len(co.read_coordinates(tmp_path / "m.cs")) == 2
    rows[field][1] = value
    write_cs(tmp_path / "m.cs", rows)
    with pytest.raises(UserError, match=rf"m\.cs: {message}; export the particles again"):
        co.read_coordinates(tmp_path / "m.cs")


def test_cryosparc_files_are_written_elsewhere(tmp_path):
    with pytest.raises(ValueError, match=r"unknown format cryosparc; .* see crisp_core"):
        co.write_coordinates(tmp_path / "m.cs", table(), format="cryosparc")


XY = "_rlnCoordinateX #1\n_rlnCoordinateY #2\n"


def blocks(**rows):
    return "".join(f"data_{name}\n\nloop_\n{XY}{lines}\n\n" for name, lines in rows.items())


def test_blocks_named_after_micrographs_are_all_read(tmp_path):
    content = blocks(mic0="1 2\n3 4", mic1="5 6", mic2="")
    back = read(tmp_path / "all.star", content)
    assert list(back["micrograph"]) == ["mic0", "mic0", "mic1"]
    np.testing.assert_array_equal(back[["x", "y"]], [[1, 2], [3, 4], [5, 6]])
    assert co.names_micrographs(tmp_path / "all.star")
    # a single block is the file's micrograph, whatever its name
    assert set(read(tmp_path / "m_autopick.star", blocks(images="1 2"))["micrograph"]) == {"m"}
    assert not co.names_micrographs(tmp_path / "m_autopick.star")


def test_blocks_that_name_micrographs_are_all_read(tmp_path):
    head = "loop_\n_rlnMicrographName\n_rlnCoordinateX\n_rlnCoordinateY\n_rlnOriginXAngst\n_rlnOriginYAngst\n"
    content = f"data_a\n\n{head}m1.mrc 1 2 3 4\n\ndata_b\n\n{head}m2.mrc 5 6 7 8\nm1.mrc 9 9 9 9\n"
    assert list(read(tmp_path / "all.star", content)["micrograph"]) == ["m1", "m2", "m1"]
    origins = co.read_origins(tmp_path / "all.star", pixel_size=2.0)
    np.testing.assert_array_equal(origins, [[1.5, 2], [3.5, 4], [4.5, 4.5]])
    mixed = content.replace("_rlnMicrographName", "_rlnImageName", 1)
    with pytest.raises(UserError, match=r"some of its 2 blocks of coordinates have the column rlnMicrographName"):
        read(tmp_path / "all.star", mixed)


def test_files_joined_into_one_are_refused(tmp_path):
    """`cat mic?.star > all.star`: a STAR reader sees the last block of a name."""
    for name, shown in (("", "data_"), ("particles", "data_particles")):
        content = "# version 30001\n\n" + "".join(blocks(**{name: f"{i} 2"}) for i in range(5))
        with pytest.raises(UserError, match=rf"all\.star: holds 5 blocks named {shown}, of which a reader sees one; "):
            read(tmp_path / "all.star", content)


@pytest.mark.parametrize(
    "content", [blocks(mic0=""), f"data_\n\nloop_\n{XY}", f"# version 30001\n\ndata_\n\nloop_\n{XY}\n"]
)
def test_a_star_file_without_rows_is_no_particle(tmp_path, content):
    assert len(read(tmp_path / "mic0.star", content)) == 0


def star_row(**columns):
    labels = "".join(f"_{label}\n" for label in columns)
    return f"data_\n\nloop_\n{labels}{' '.join(map(str, columns.values()))}\n"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("m.box", "10 20 64 64 -1\n90 80 64 64 -2\n", "its fifth column is −1 and −2, the two ends of a helix"),
        ("m.box", "10 20 64 64 -1.0\n90 80 64 64 -2.0\n10 20 64 64 -1\n", "the two ends of a helix"),
        (
            "m.star",
            star_row(rlnCoordinateX=1, rlnCoordinateY=2, rlnHelicalTubeID=1),
            "rlnHelicalTubeID, so .* filaments",
        ),
        ("m.star", star_row(rlnCoordinateX=1, rlnCoordinateY=2, rlnCoordinateZ=3), "rlnCoordinateZ, so .* tomograms"),
        ("m.star", star_row(rlnCoordinateX=1, rlnCoordinateY=2, rlnTomoName="t1"), "rlnTomoName, so .* tomograms"),
        (
            "m.star",
            star_row(rlnCenteredCoordinateXAngst=1, rlnCenteredCoordinateZAngst=2),
            "so its rows belong to tomo",
        ),
        ("m.csv", "x,y,z\n1,2,3\n", "has the column z, so its coordinates are those of a tomogram"),
        ("m.txt", "image_name\tx_coord\ty_coord\tz_coord\nm\t1\t2\t3\n", "has the column z_coord"),
        ("m.json", '{"boxes_3d": [[1, 2, 3, "manual", 0.5, 0]]}', 'its boxes are "boxes_3d", those of a tomogram'),
    ],
)
def test_rows_that_are_no_single_particles_are_refused(tmp_path, name, content, message):
    with pytest.raises(UserError, match=rf"{re.escape(name)}: .*{message}") as caught:
        read(tmp_path / name, content)
    assert "give coordinates of single particles" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        # a score that happens to be −1, EMAN's mark of a box of no helix, and columns that say nothing
        ("m.box", "10 20 64 64 -1\n90 80 64 64 0.5\n"),
        ("m.box", "10 20 64 64 -3\n90 80 64 64 -3\n"),
        ("m.star", star_row(rlnCoordinateX=1, rlnCoordinateY=2, rlnCoordinateZ=0, rlnHelicalTubeID=0)),
        ("m.csv", "x,y,z\n1,2,0\n1,2,\n"),
    ],
)
def test_single_particles_pass(tmp_path, name, content):
    assert len(read(tmp_path / name, content)) > 0


CBOX = (
    "data_global\n\n_version 1.0\n\ndata_cryolo\n\nloop_\n_CoordinateX\n_CoordinateY\n_CoordinateZ\n_Width\n_Height\n"
    "_Confidence\n_filamentid\n"
)


def test_segments_and_slices_of_crYOLO_are_refused(tmp_path):
    assert len(read(tmp_path / "m.cbox", CBOX + "1 2 <NA> 10 10 0.5 <NA>\n")) == 1
    with pytest.raises(UserError, match="has the column filamentid, so its boxes are segments of filaments"):
        read(tmp_path / "m.cbox", CBOX + "1 2 <NA> 10 10 0.5 3\n")
    with pytest.raises(UserError, match="has the column CoordinateZ, so its coordinates are those of a tomogram"):
        read(tmp_path / "m.cbox", CBOX + "1 2 7 10 10 0.5 <NA>\n")


def test_segments_of_cryosparc_are_refused(tmp_path):
    path, shape, *places = LOCATION_FIELDS
    fields = [(path, "S8"), (shape, "<u4", 2), *((name, "<f4") for name in places), ("filament/filament_uid", "<u8")]
    write_cs(tmp_path / "m.cs", np.zeros(2, dtype=fields))
    with pytest.raises(
        UserError, match=r"m\.cs: has the fields filament/…, so its particles are segments of filaments"
    ):
        co.read_coordinates(tmp_path / "m.cs")


def coordinate_list(folder, files):
    """RELION's list in a job's folder, with the paths of its files counted from the project."""
    job = folder / "AutoPick/job007"
    job.mkdir(parents=True)
    for file, rows in files.values():
        if rows is not None:
            (folder / file).write_text(blocks(**{"": rows}))
    lines = "".join(f"MotionCorr/{name}.mrc {file}\n" for name, (file, _) in files.items())
    labels = "_rlnMicrographName #1\n_rlnMicrographCoordinates #2\n"
    (job / "autopick.star").write_text(f"# version 30001\n\ndata_coordinate_files\n\nloop_\n{labels}{lines}\n")
    return job / "autopick.star"


def test_relions_list_of_coordinate_files_is_followed(tmp_path):
    files = {"m1": ("AutoPick/job007/other.star", "1 2\n3 4"), "m2": ("AutoPick/job007/m2_autopick.star", "5 6")}
    path = coordinate_list(tmp_path, files)
    back = co.read_coordinates(path)
    # the list says which micrograph, and not the file's name
    assert list(back["micrograph"]) == ["m1", "m1", "m2"] and list(back["x"]) == [1, 3, 5]
    assert list(co.listed_files(path).values()) == ["m1", "m2"] and co.names_micrographs(path)
    assert not co.is_coordinate_list(tmp_path / "AutoPick/job007/other.star")


def test_a_list_of_lists_or_of_one_file_twice_is_refused(tmp_path):
    path = coordinate_list(tmp_path, {"m1": ("AutoPick/job007/autopick.star", None)})
    with pytest.raises(UserError, match=r"autopick\.star: names the list .*; give files of coordinates in it"):
        co.read_coordinates(path)
    once = path.read_text().replace("job007/autopick", "job007/m").rstrip()
    path.write_text(f"{once}\nm2.mrc AutoPick/job007/m.star\n")
    with pytest.raises(UserError, match=r"names AutoPick/job007/m\.star twice; give each micrograph its own"):
        co.read_coordinates(path)


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
    assert co.nearest_name(name, micrographs) == nearest


def test_missing_file_unknown_format_and_wrong_format(tmp_path):
    with pytest.raises(UserError, match=r"absent\.csv: no such file; check the path"):
        co.read_coordinates(tmp_path / "absent.csv")
    with pytest.raises(UserError, match="unknown coordinate format 'imagic'; use auto or one of relion, "):
        read(tmp_path / "m.csv", "x,y\n1,2\n", format="imagic")
    with pytest.raises(UserError, match=r"has no column x-coordinate \(it has x y\); name it in the first line"):
        read(tmp_path / "m.csv", "x,y\n1,2\n", format="cryoppp")


def test_many_coordinates_outside_their_micrograph_are_refused():
    shapes = {NAME: (100, 200)}
    inside = table([[0, 0], [199, 99], [200, -1]])
    pd.testing.assert_frame_equal(co.split_inside(inside, shapes, source="m.csv")[0], inside)
    for xy in ([200.5, 50], [50, 100.5], [-1.5, 50], [50, -1.5]):
        with pytest.raises(
            UserError, match=rf"m\.csv: 1 of 2 coordinates lie outside .*{NAME} of 200 × 100 pixels; give"
        ):
            co.split_inside(table([[5, 5], xy]), shapes, source="m.csv")


def test_a_few_coordinates_outside_are_left_out_and_named():
    slip = table([[5 + i, 50] for i in range(50)] + [[203, 50]])
    inside, text = co.split_inside(slip, {NAME: (100, 200)}, source="m.csv")
    pd.testing.assert_frame_equal(inside, slip.iloc[:50])
    assert text == (
        f"m.csv: 1 of 51 coordinates lie outside the micrograph, for instance (203, 50) in {NAME} of 200 × 100 pixels; "
        "left out, the others are used"
    )
    with pytest.raises(UserError, match="6 of 51 coordinates lie outside"):
        co.split_inside(slip.assign(x=slip["x"].where(slip.index > 4, 300)), {NAME: (100, 200)}, source="m.csv")


def test_fractions_of_a_micrograph_are_refused():
    shapes = {NAME: (100, 200)}
    with pytest.raises(UserError, match=r"m\.csv: all 2 coordinates lie between 0 and 1, so they are fractions"):
        co.split_inside(table([[0.25, 0.5], [1, 0]]), shapes, source="m.csv")
    for xy in ([[0.25, 0.5]], [[0, 0], [1, 1]], [[0.5, 0.5], [0.5, 7]]):
        assert len(co.split_inside(table(xy), shapes, source="m.csv")[0]) == len(xy)


def test_to_top_left_is_its_own_inverse_and_knows_each_height():
    both = pd.concat([table([[1, 0]]), table([[2, 99]], micrograph="other")], ignore_index=True)
    heights = {NAME: 4096, "other": 100}
    flipped = co.to_top_left(both, heights, origin="bottom-left")
    assert flipped[["x", "y"]].to_numpy().tolist() == [[1, 4095], [2, 0]]
    pd.testing.assert_frame_equal(co.to_top_left(flipped, heights, origin="bottom-left"), both)
    pd.testing.assert_frame_equal(co.to_top_left(both, heights, origin="top-left"), both)
    with pytest.raises(UserError, match="origin: 'up' is not known; write one of top-left, bottom-left"):
        co.to_top_left(both, heights, origin="up")


UID, OTHER_UID = "0" * 19 + "17_", "9" * 21 + "_"


def test_names_match_on_the_stem():
    names = [
        f"job/extract/{NAME}.mrc",
        f"{UID}m1_autopick.star",
        f"{OTHER_UID}m2.mrc",
        "20180810123456_m1.mrc",
        "absent",
    ]
    matched = co.match_names(names, [NAME, "m1", f"{UID}m2"])
    assert matched.to_dict("list") == {"name": names, "micrograph": [NAME, "m1", f"{UID}m2", "", ""]}


def test_an_ambiguous_name_matches_none_but_an_equal_one_goes_first():
    micrographs = [f"{UID}m", f"{OTHER_UID}m"]
    assert list(co.match_names(["m", f"{UID}m.mrc"], micrographs)["micrograph"]) == ["", f"{UID}m"]


def test_no_match_at_all_is_refused_but_no_names_are_fine():
    with pytest.raises(UserError, match=r"none of 2 names matches a micrograph: 'a' …, while .* called 'b' …; rename"):
        co.match_names(["a", "c"], ["b"])
    assert len(co.match_names([], ["b"])) == 0


def spots(sign, *, n=60, seed=0):
    """Discs of contrast `sign` on noise; their centres are not symmetric under a flip."""
    rng = np.random.default_rng(seed)
    image = rng.normal(size=(300, 400))
    xy = np.stack([rng.integers(20, 380, n), rng.integers(20, 280, n)], axis=1)
    rows, columns = np.mgrid[:300, :400]
    for x, y in xy:
        image[np.hypot(rows - y, columns - x) <= 5] += sign
    return image, xy


def test_contrast_equals_a_brute_force_mean():
    image, xy = spots(-1.0)
    x, y = xy[0]
    rows, columns = np.mgrid[:300, :400]
    distance = np.hypot(rows - y, columns - x)
    expected = image[distance <= 4].mean() - image[(distance > 4) & (distance <= 8)].mean()
    contrast = co.origin_contrast(image, xy[:1], radius_px=8)
    np.testing.assert_allclose(contrast, expected / image.std(), rtol=1e-12)


def test_contrast_at_the_edge_repeats_the_nearest_pixel():
    image, _ = spots(1.0)
    padded = np.pad(image, 10, mode="edge")
    inner = co.origin_contrast(padded, np.array([[10, 10], [409, 309]]), radius_px=8) * padded.std()
    np.testing.assert_allclose(co.origin_contrast(image, [[0, 0], [399, 299]], radius_px=8) * image.std(), inner)


@pytest.mark.parametrize("sign", [-2.0, 2.0])
def test_wrong_origin_is_refused_for_dark_and_bright_particles(sign):
    image, xy = spots(sign)
    right = co.origin_contrast(image, xy, radius_px=8)
    wrong = co.origin_contrast(image, np.stack([xy[:, 0], 299 - xy[:, 1]], axis=1), radius_px=8)
    co.check_origin(right, wrong, source="m.csv")
    with pytest.raises(UserError, match=r"m\.csv: its coordinates fit the micrographs upside down .*; set origin to"):
        co.check_origin(wrong, right, source="m.csv")


def test_nothing_is_refused_without_evidence():
    image, _ = spots(0.0, n=0)
    rng = np.random.default_rng(1)
    for _ in range(20):
        stated, flipped = (co.origin_contrast(image, rng.uniform(0, 299, (50, 2)), radius_px=8) for _ in range(2))
        co.check_origin(stated, flipped, source="m.csv")
    for n in (0, 1):
        assert co.origin_statistic(np.zeros(n), np.full(n, 9.0)) == 0
    assert co.origin_statistic(np.zeros(5), np.zeros(5)) == 0


@pytest.fixture(scope="module")
def thumbnails(shared_data):
    images = {}
    for path in sorted((shared_data / "empiar-10017/micrographs").glob("*.jpg")):
        with Image.open(path) as picture:
            picture.draft("L", (512, 512))
            images[path.stem] = np.asarray(picture, dtype=np.float32)
    return images


SETS = {
    "coordinates": "top-left",
    "published_picks/crYOLO": "bottom-left",
    "published_picks/topaz": "bottom-left",
    "published_picks/deepPicker": "bottom-left",
    "published_picks/CASSPER": "bottom-left",
}


@pytest.mark.real
@pytest.mark.parametrize("folder", SETS)
def test_origin_of_every_published_set_is_told_apart(shared_data, thumbnails, folder):
    """EMPIAR-10017: ground truth counts from the top of these JPGs, every picker from the bottom; file by file."""
    other = {"top-left": "bottom-left", "bottom-left": "top-left"}
    heights = dict.fromkeys(thumbnails, 4096)
    for path in sorted((shared_data / "empiar-10017" / folder).iterdir()):
        raw = co.read_coordinates(path)
        image = thumbnails[path.stem]
        right, wrong = (
            co.origin_contrast(
                image,
                co.to_top_left(raw, heights, origin=origin)[["x", "y"]].to_numpy() * image.shape[0] / 4096,
                radius_px=54 * image.shape[0] / 4096,
            )
            for origin in (SETS[folder], other[SETS[folder]])
        )
        co.check_origin(right, wrong, source=path)
        with pytest.raises(UserError, match="upside down"):
            co.check_origin(wrong, right, source=path)


def hand_parsed(path, first, columns, separator=None):
    """An independent reading: plain split of the lines after the header."""
    lines = [line.split(separator) for line in path.read_text().splitlines()[first:] if line.strip()]
    return np.array([[float(line[column]) for column in columns] for line in lines])


@pytest.mark.real
@pytest.mark.parametrize("folder", SETS)
def test_published_files_equal_a_hand_parse(shared_data, folder):
    """Every published file: coordinates and scores in the order of its lines."""
    paths = sorted((shared_data / "empiar-10017" / folder).iterdir())
    for path in paths:
        back = co.read_coordinates(path)
        if path.suffix == ".box":
            expected = hand_parsed(path, 0, (0, 1, 4)) + np.array([90, 90, 0])
        elif path.suffix == ".star":
            expected = hand_parsed(path, 9, (0, 1))
        else:
            expected = hand_parsed(path, 1, (0, 1), ",")
            assert (back["diameter_px"] == 108).all()
        np.testing.assert_array_equal(back[["x", "y", "score"]].to_numpy()[:, : expected.shape[1]], expected)
        assert len(back) > 100 and back["micrograph"].unique() == [path.stem]
    assert len(paths) in (4, 12)


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "first_row", "micrograph"),
    [
        ("aspire_sample_particles_relion30.star", (2158.111921, 3073.912046, 1.065473), "micrograph"),
        ("aspire_sample_particles_relion31.star", (2158.111921, 3073.912046, 1.065473), "micrograph"),
        (
            "cryodrgn_relion31.v2.star",
            (3277, 983, math.nan),
            "18aug10a_MC2_FoilHole_10984848_Data_10985376_10985377_20180810_2123-144102_DW",
        ),
    ],
)
def test_particle_stars_of_relion_30_and_31(shared_data, name, first_row, micrograph):
    back = co.read_coordinates(shared_data / "interop" / name)
    np.testing.assert_array_equal(back.loc[0, ["x", "y", "score"]].to_numpy(dtype=float), first_row)
    assert back.loc[0, "micrograph"] == micrograph


def hand_parsed_star(path):
    """Labels and cells of the block of particles: a plain split of its lines."""
    block = next(block for block in path.read_text().split("\ndata_") if "_rlnCoordinateX" in block)
    lines = block.splitlines()
    labels = [line.split()[0][1:] for line in lines if line.startswith("_")]
    start = max(i for i, line in enumerate(lines) if line.startswith("_")) + 1
    return labels, [line.split() for line in lines[start:] if line.strip() and not line.startswith("#")]


@pytest.mark.real
@pytest.mark.parametrize(
    "name",
    [
        "aspire_sample_particles_relion30.star",
        "aspire_sample_particles_relion31.star",
        "cryodrgn_relion31.6opticsgroups.star",
        "cryodrgn_relion31.star",
        "cryodrgn_relion31.v2.star",
        "cryodrgn_relion5.star",
    ],
)
def test_particle_stars_equal_a_hand_parse(shared_data, name):
    """RELION 3.0, 3.1 and 5, one and many optics groups, labels with and without numbers, with scores and without."""
    labels, cells = hand_parsed_star(shared_data / "interop" / name)

    def column(label):
        return np.array([float(row[labels.index(label)]) for row in cells])

    back = co.read_coordinates(shared_data / "interop" / name)
    np.testing.assert_array_equal(back["x"], column("rlnCoordinateX"))
    np.testing.assert_array_equal(back["y"], column("rlnCoordinateY"))
    if "rlnAutopickFigureOfMerit" in labels:
        np.testing.assert_array_equal(back["score"], column("rlnAutopickFigureOfMerit"))
    else:
        assert back["score"].isna().all()
    stems = [row[labels.index("rlnMicrographName")].split("/")[-1].removesuffix(".mrc") for row in cells]
    assert list(back["micrograph"]) == stems


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "labels", "factor"),
    [
        # RELION 3.0 has pixels of the images, whose size is detector over magnification; 3.1 has Å
        ("aspire_sample_particles_relion30.star", ("rlnOriginX", "rlnOriginY"), None),
        ("aspire_sample_particles_relion31.star", ("rlnOriginXAngst", "rlnOriginYAngst"), 1.0),
    ],
)
def test_origins_of_particle_stars_equal_a_hand_parse(shared_data, name, labels, factor):
    found, cells = hand_parsed_star(shared_data / "interop" / name)
    numbers = {label: np.array([float(row[found.index(label)]) for row in cells]) for label in labels}
    if factor is None:
        detector, magnification = (found.index(label) for label in ("rlnDetectorPixelSize", "rlnMagnification"))
        factor = np.array([1e4 * float(row[detector]) / float(row[magnification]) for row in cells])
    expected = np.column_stack([numbers[label] * factor / 0.885 for label in labels])
    np.testing.assert_allclose(co.read_origins(shared_data / "interop" / name, pixel_size=0.885), expected, rtol=1e-12)


@settings(max_examples=60)
@given(
    stems=st.lists(names, min_size=1, max_size=5, unique_by=lambda name: co.micrograph_stem(f"{name}-1")),
    uid=st.integers(0, 10**21 - 1),
    on_files=st.booleans(),
)
def test_names_match_whatever_they_hold(stems, uid, on_files):
    """Unicode, blanks, quotes; cryoSPARC's prefix on either side; folders and suffixes."""
    stems = [co.micrograph_stem(f"{name}-1") for name in stems]
    prefixed = [f"{uid:021d}_{stem}" for stem in stems]
    given_names, files = (stems, prefixed) if on_files else (prefixed, stems)
    matched = co.match_names([f"J12/imported/{name}_autopick.star" for name in given_names], files)
    assert list(matched["micrograph"]) == files


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("m.box", "1 2 10 10\n1 2 0 0\n"),
        ("m.cbox", "data_cryolo\n\nloop_\n_CoordinateX\n_CoordinateY\n_Width\n_Height\n1 2 9 9\n1 2 -9 9\n"),
    ],
)
def test_a_box_without_a_side_is_refused(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=r"m\.c?box: box 2 is .* so that its centre is unknown; "):
        co.read_coordinates(tmp_path / name)


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_a_table_in_another_encoding_is_told_to_be_one(tmp_path, encoding):
    (tmp_path / "m.csv").write_text("x,y,micrograph\n1,2,Größe\n", encoding=encoding)
    with pytest.raises(UserError, match=r"m\.csv: is not a text file of UTF-8; .*save a table .* as UTF-8"):
        co.read_coordinates(tmp_path / "m.csv")


def test_composed_and_decomposed_accents_are_one_name():
    composed, decomposed = "caf\u00e9_1", "cafe\u0301_1"
    for name, micrograph in ((composed, decomposed), (decomposed, composed)):
        assert co.match_names([f"{name}_autopick.star"], [f"m/{micrograph}.mrc", "m/cafe_1.mrc"])[
            "micrograph"
        ].tolist() == [f"m/{micrograph}.mrc"]
