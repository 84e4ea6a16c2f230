import json
import math

import numpy as np
import pytest

from crisp_core.errors import UserError
from crisp_core.formats.coordinates.names import match_names
from crisp_core.formats.coordinates.registry import read_coordinates, write_coordinates
from tests.formats.coordinates.tables import read, rows, table


def test_eman_corner_becomes_centre(tmp_path):
    back = read(tmp_path / "m.box", "10\t20\t180\t100\t0.5\n\n-90 0 181 181 -999\n")
    np.testing.assert_array_equal(back[["x", "y", "score"]], [[100, 70, 0.5], [0.5, 90.5, math.nan]])
    assert rows(read(tmp_path / "m.box", "10 20 100 100\r\n"))[0][:2] == [60, 70]


def test_written_eman_box_is_a_corner_of_integers(tmp_path):
    write_coordinates(tmp_path / "m.box", table([[100, 70]], scores=[0.5]), format="eman", size_px=180)
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
    assert list(match_names(["info/m_info.json"], ["m"])["micrograph"]) == ["m"]


def test_written_eman_json(tmp_path):
    write_coordinates(tmp_path / "m.json", table([[1.5, 2], [3, 4]], scores=[0.5, math.nan]), format="eman-json")
    assert (tmp_path / "m.json").read_text() == '{"boxes": [[1.5, 2.0, "auto_convnet", 0.5], [3.0, 4.0, "manual"]]}\n'


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
        read_coordinates(tmp_path / name)
