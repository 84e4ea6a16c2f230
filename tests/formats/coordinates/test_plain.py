import numpy as np
import pytest

from crisp_core.errors import UserError
from tests.formats.coordinates.tables import read, rows


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


@pytest.mark.parametrize("column", ["micrograph", "Micrograph_Name"])
def test_the_column_of_micrographs_has_several_names(tmp_path, column):
    back = read(tmp_path / "all.csv", f"{column},x,y\nm1.mrc,1,2\nm2.mrc,3,4\n")
    assert list(back["micrograph"]) == ["m1", "m2"]


@pytest.mark.parametrize("columns", ["x2,y2", "xmax,ymax"])
def test_boxes_are_refused_since_their_corners_are_no_centres(tmp_path, columns):
    with pytest.raises(UserError, match=rf"m\.csv: has the column {columns[:2].strip(',')}\w*, so x and y are corners"):
        read(tmp_path / "m.csv", f"x,y,{columns}\n1,2,30,30\n")


def test_spreadsheet_oddities(tmp_path):
    back = read(tmp_path / "m.csv", '\ufeff"x","y","score"\r\n"1.5", 2 ,\r\n\r\n3,4,nan\r\n')
    np.testing.assert_array_equal(back[["x", "y"]], [[1.5, 2], [3, 4]])
    assert back["score"].isna().all()
