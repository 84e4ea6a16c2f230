"""What a dataset needs when micrographs are added to it: which coordinate files concern them, and what joins them."""

import pandas as pd
import pytest

from crisp_core.datasets.coordinate_names import joined_names
from crisp_core.datasets.importing import import_coordinates
from crisp_core.formats.coordinates.registry import names_micrographs

STAR = "data_\n\nloop_\n{labels}\n{row}\n"


@pytest.mark.parametrize(
    ("name", "text", "many"),
    [
        ("a.star", STAR.format(labels="_rlnCoordinateX\n_rlnCoordinateY", row="1 2"), False),
        ("a.star", STAR.format(labels="_rlnMicrographName\n_rlnCoordinateX\n_rlnCoordinateY", row="m.mrc 1 2"), True),
        ("a.csv", "x,y\n1,2\n", False),
        ("a.csv", "x,y,micrograph\n1,2,m\n", True),
        ("a.txt", "image_name\tx_coord\ty_coord\nm\t1\t2\n", True),
        ("a.box", "1\t2\t3\t3\n", False),
        ("a.csv", "X-Coordinate,Y-Coordinate,Diameter\n1,2,3\n", False),
        ("a.csv", "nothing,known\n1,2\n", False),
        ("a.doc", "x", False),
    ],
)
def test_only_some_files_name_their_micrographs(tmp_path, name, text, many):
    (tmp_path / name).write_text(text)
    assert names_micrographs(tmp_path / name) is many


def test_thousands_of_optics_groups_stand_before_the_names(tmp_path):
    optics = "data_optics\n\nloop_\n_rlnOpticsGroup\n_rlnOpticsGroupName\n" + "1 opticsGroup1\n" * 10_000
    text = STAR.format(labels="_rlnMicrographName\n_rlnCoordinateX\n_rlnCoordinateY", row="m.mrc 1 2")
    (tmp_path / "a.star").write_text(optics + "\n" + text)
    assert names_micrographs(tmp_path / "a.star")


def test_a_file_that_is_away_names_nothing(tmp_path):
    assert not names_micrographs(tmp_path / "a.star")


def test_a_stated_format_goes_before_the_suffix(tmp_path):
    assert names_micrographs(tmp_path / "a.star", format="relion-particles")


def test_an_addition_may_be_without_coordinates(tmp_path):
    path = tmp_path / "stranger.csv"
    path.write_text("x,y\n1,2\n3,4\n")
    imported = import_coordinates([str(path)], {"m": (10, 10)}, format="auto", origin="top-left", required=False)
    assert imported.coordinates.empty and not imported.refused
    assert imported.names[["name", "micrograph", "n_coordinates"]].values.tolist() == [["stranger", "", 2]]
    assert import_coordinates([], {}, format="auto", origin="top-left", required=False).names.empty


def test_a_name_is_without_micrograph_only_where_no_addition_has_one():
    columns = ["path", "name", "micrograph", "n_coordinates"]
    first = pd.DataFrame([("p.star", "a", "a", 2), ("p.star", "b", "", 3), ("p.star", "c", "", 4)], columns=columns)
    second = pd.DataFrame([("p.star", "a", "", 2), ("p.star", "b", "b", 3), ("p.star", "c", "", 4)], columns=columns)
    joined = joined_names([first, second])
    assert joined[["name", "micrograph"]].values.tolist() == [["a", "a"], ["b", "b"], ["c", ""]]
