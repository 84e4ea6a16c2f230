import numpy as np
import pytest

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


def test_spreadsheet_oddities(tmp_path):
    back = read(tmp_path / "m.csv", '\ufeff"x","y","score"\r\n"1.5", 2 ,\r\n\r\n3,4,nan\r\n')
    np.testing.assert_array_equal(back[["x", "y"]], [[1.5, 2], [3, 4]])
    assert back["score"].isna().all()
