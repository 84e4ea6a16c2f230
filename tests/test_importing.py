import numpy as np
import pandas as pd
import pytest

from crisp_core.arrays import Array
from crisp_core.errors import UserError
from crisp_core.importing import check_stated_origin, import_coordinates

SHAPES = {"a": (100, 200), "b": (100, 200), "c": (100, 200)}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n10,20\n30,40\n")
    (tmp_path / "b.csv").write_text("x,y\n")
    (tmp_path / "stranger.csv").write_text("x,y\n1,2\n")
    (tmp_path / "text.csv").write_text("x,y\n1,many\n")
    (tmp_path / "columns.csv").write_text("u,v\n1,2\n")
    return tmp_path


def imported(folder, *names, origin="top-left"):
    return import_coordinates([str(folder / name) for name in names], SHAPES, format="auto", origin=origin)


def test_files_are_joined_and_an_empty_file_labels_its_micrograph(folder):
    result = imported(folder, "a.csv", "b.csv")
    assert result.coordinates[["micrograph", "x", "y"]].to_numpy().tolist() == [["a", 10, 20], ["a", 30, 40]]
    assert result.names[["micrograph", "n_coordinates"]].to_numpy().tolist() == [["a", 2], ["b", 0]]
    assert result.refused == []


def test_bottom_left_counts_from_the_last_row(folder):
    assert imported(folder, "a.csv", origin="bottom-left").coordinates["y"].tolist() == [79, 59]


def test_bad_files_are_refused_alone_and_strangers_listed(folder):
    (folder / "c.csv").write_text("x,y\n500,2\n")
    result = imported(folder, "a.csv", "c.csv", "columns.csv", "stranger.csv", "text.csv")
    assert len(result.coordinates) == 2
    reasons = {refused.path.split("/")[-1]: refused.reason for refused in result.refused}
    assert set(reasons) == {"c.csv", "columns.csv", "text.csv"}
    assert "outside the micrograph" in reasons["c.csv"]
    assert "names no coordinate columns" in reasons["columns.csv"]
    assert "line 2" in reasons["text.csv"] and "many" in reasons["text.csv"]
    assert result.names.query("micrograph == ''")["name"].tolist() == ["stranger"]


def test_a_second_file_for_a_micrograph_is_refused(folder):
    (folder / "a.box").write_text("0\t0\t10\t10\n")
    result = imported(folder, "a.box", "a.csv")
    assert "a second set of coordinates of a" in result.refused[0].reason
    assert len(result.names) == 1


def test_a_mistake_in_a_file_of_many_costs_one_micrograph(folder):
    (folder / "all.csv").write_text("micrograph,x,y\na,1,2\nb,999,2\nc,3,4\nc,5,6\n")
    result = imported(folder, "all.csv")
    assert result.coordinates["micrograph"].tolist() == ["a", "c", "c"]
    assert len(result.refused) == 1 and "in b of" in result.refused[0].reason
    assert result.names["micrograph"].tolist() == ["a", "c"]


def test_nothing_to_use_is_an_error_with_the_first_reason(folder):
    with pytest.raises(UserError, match=r"none of 1 coordinate files can be used; the first: .*text\.csv"):
        imported(folder, "text.csv")
    with pytest.raises(UserError, match="none of 1 names matches a micrograph"):
        imported(folder, "stranger.csv")


def test_flipped_coordinates_are_told_from_the_image():
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:120, :160]
    image = rng.normal(size=(120, 160)).astype(np.float32)
    xy = rng.uniform(10, 50, (20, 2)) * [2.5, 1]
    for cx, cy in xy:
        image -= 3 * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / 18).astype(np.float32)
    images = [("a", Array(image, 7.0, (480, 640)))]
    table = pd.DataFrame({"micrograph": "a", "x": 4 * xy[:, 0], "y": 4 * xy[:, 1]})
    check_stated_origin(table, images, diameter_angstrom=80, source="here")
    with pytest.raises(UserError, match=r"here: its coordinates fit the micrographs upside down .* set origin"):
        check_stated_origin(table.assign(y=479 - table["y"]), images, diameter_angstrom=80, source="here")
