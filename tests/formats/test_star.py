import re

import pandas as pd
import pytest

from crisp_core.errors import UserError
from crisp_core.formats.relion_coordinates import write_coordinates_star
from crisp_core.formats.star import read_blocks, write_blocks
from tests.formats.tables import picks


@pytest.mark.parametrize("name", ["data_1/m1.mrc", "_m1.mrc", "loop_m1", "LOOP_m1", ";m1"])
def test_a_line_that_would_begin_with_a_word_of_the_format_is_refused(tmp_path, name):
    first = pd.DataFrame({"rlnMicrographName": [name], "rlnOpticsGroup": [1]})
    with pytest.raises(UserError, match=f"a line of a STAR file cannot begin with '{name}'; rename it"):
        write_blocks(tmp_path / "m.star", {"micrographs": first})
    second = first[["rlnOpticsGroup", "rlnMicrographName"]]
    write_blocks(tmp_path / "m.star", {"micrographs": second})
    assert read_blocks(tmp_path / "m.star")["micrographs"]["rlnMicrographName"].tolist() == [name]


def test_duplicate_labels_are_refused_in_and_out(tmp_path):
    table = pd.concat([picks(), pd.DataFrame({"rlnCoordinateX": [1, 2, 3]})], axis=1)
    with pytest.raises(UserError, match=r"cannot hold the label rlnCoordinateX twice; rename"):
        write_coordinates_star(tmp_path / "picks.star", table)
    (tmp_path / "twice.star").write_text("data_\n\nloop_\n_rlnCoordinateX #1\n_rlnCoordinateX #2\n1 2\n")
    with pytest.raises(UserError, match=r"twice\.star: a block has the label rlnCoordinateX twice; remove"):
        read_blocks(tmp_path / "twice.star")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no STAR data block; check that it is a STAR file and not empty"),
        (b"hello\n", "holds no STAR data block"),
        (b"data_\n", "block data_ has no columns; export the file again, or remove it"),
        (b"data_\n\nloop_\n_a\n1\n\ndata_\n\nloop_\n_a\n2\n", "holds 2 blocks named data_, of which a reader sees one"),
        (b"\xff\xfe\x00\x80", "is not a text file of UTF-8; check that the path names"),
    ],
)
def test_what_is_no_star_file_is_refused(tmp_path, content, message):
    (tmp_path / "x.star").write_bytes(content)
    with pytest.raises(UserError, match=rf"x\.star: {message}"):
        read_blocks(tmp_path / "x.star")


def test_a_file_mended_after_a_failure_reads_anew(tmp_path):
    path = tmp_path / "x.star"
    path.write_text("data_\n\nloop_\n_a #1\n_b #2\n1 2\n1 2 3\n")
    with pytest.raises(UserError, match=r"x\.star: line 7 has 3 values and not 2"):
        read_blocks(path)
    path.write_text("data_\n\nloop_\n_a #1\n_b #2\n1 2\n3 4\n")
    assert list(read_blocks(path)[""]["b"]) == [2, 4]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        # cut off in its last number but three
        ("a.mrc 88", "line 8 has 2 values and not 3, as its loop has labels; the file may be cut off"),
        ("a.mrc", "line 8 has 1 value and not 3"),
        ("a b.mrc 1 2", "line 8 has 4 values and not 3, as its loop has labels; a name may have a blank"),
        # not a blank for the library that reads the rows
        ("a\u00a0b.mrc 1", "line 8 has 2 values and not 3"),
        ("'its.mrc 1 2", "line 8 has the value 'its.mrc, of which ' cannot be read; rename it"),
        ("a#1.mrc 1 2", "line 8 has the value a#1.mrc, of which # cannot be read"),
        ("1 2 a#1.mrc", "line 8 has the value a#1.mrc, of which # cannot be read"),
        ("'a\"b.mrc' 1 2", "line 8 has the value 'a\"b.mrc', of which \" cannot be read"),
        ("'a'b.mrc' 1 2", "line 8 has the value 'a'b.mrc', of which ' cannot be read"),
        ("a\"b.mrc 1 2 # Bob's", 'line 8 has the value a"b.mrc, of which " cannot be read'),
    ],
)
def test_rows_that_would_be_read_wrong_are_refused(tmp_path, row, message):
    (tmp_path / "x.star").write_text(f"data_\n\nloop_\n_rlnMicrographName\n_x\n_y\nb.mrc 1 2\n{row}\n")
    with pytest.raises(UserError, match=re.escape(f"x.star: {message}")):
        read_blocks(tmp_path / "x.star")


def test_apostrophes_hashes_in_quotes_and_other_blanks_are_read_as_they_are(tmp_path):
    rows = "O'Brien/it's.mrc 1 2\nK3\u00a0b.mrc 3 4\n'c#1.mrc' 5 6\n"
    (tmp_path / "x.star").write_text(f"data_\n\nloop_\n_rlnMicrographName\n_x\n_y\n{rows}", encoding="utf-8")
    table = read_blocks(tmp_path / "x.star")[""]
    assert table.to_numpy().tolist() == [["O'Brien/it's.mrc", 1, 2], ["K3\u00a0b.mrc", 3, 4], ["c#1.mrc", 5, 6]]


def test_apostrophes_cost_no_number_of_a_column_of_numbers_and_names(tmp_path):
    # pandas reads a long file in parts, and of each part a type of its own
    rows = "".join(f"{i} {' '.join(['0.5'] * 28)}\n" for i in range(40000)) + f"A {' '.join(['0.5'] * 28)}\n"
    labels = "".join(f"_c{i}\n" for i in range(29))
    (tmp_path / "x.star").write_text(f"# Bob's\ndata_\n\nloop_\n{labels}{rows}")
    column = read_blocks(tmp_path / "x.star")[""]["c0"]
    assert column.map(str).tolist() == [*map(str, range(40000)), "A"]


def test_quoted_values_comments_and_following_blocks_are_read(tmp_path):
    rows = "'a b.mrc' 1 2\n\n# a comment's line\n\"c.mrc\" 3 4 # and one behind a row\n"
    more = "data_single\n\n_name 'two words'\n_n 5\n\ndata_last\n\nloop_\n_n\n6\n"
    (tmp_path / "x.star").write_text(f"data_\n\nloop_ \n_rlnMicrographName #1\n_x #2\n_y #3\n{rows}\n{more}")
    blocks = read_blocks(tmp_path / "x.star")
    assert blocks[""].to_numpy().tolist() == [["a b.mrc", 1, 2], ["c.mrc", 3, 4]]
    assert blocks["single"] == {"name": "two words", "n": 5} and blocks["last"]["n"].tolist() == [6]


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "n_optics"), [("cryodrgn_relion31.6opticsgroups.star", 6), ("cryodrgn_relion5.star", 1)]
)
def test_star_files_of_other_programs_read(shared_data, name, n_optics):
    blocks = read_blocks(shared_data / "interop" / name)
    assert len(blocks["optics"]) == n_optics
    assert len(blocks["particles"]) > 0 and "rlnImageName" in blocks["particles"]
