import numpy as np
import pandas as pd
import pytest
from pyStarDB import sp_pystardb

from crisp_core.errors import UserError
from crisp_core.formats.coordinates.cryolo import write_cbox_files
from crisp_core.formats.coordinates.registry import read_coordinates
from tests.formats.coordinates.tables import read, rows


def test_cryolo_cbox_as_crYOLO_writes_it(tmp_path):
    content = (
        "\ndata_global\n\n_version 1.0\n\ndata_cryolo\n\nloop_\n_CoordinateX #1\n_CoordinateY #2\n_CoordinateZ #3\n"
        "_Width #4\n_Height #5\n_Depth #6\n_EstWidth #7\n_EstHeight #8\n_Confidence #9\n_NumBoxes #10\n_Angle #11\n"
        "10.5 20.0 <NA> 180.0 100.0 <NA> 170.0 171.0 0.75 <NA> <NA>\n\n"
        "data_cbox_include_list\n\nloop_\n_slice_index #1\n0\n\n"
    )
    assert rows(read(tmp_path / "m.cbox", content)) == [[100.5, 70, 0.75]]


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


def crYOLO_boxes(path):
    """Boxes as crYOLO's CoordsIO takes them from its STAR library; a missing column or block is an error."""
    block = sp_pystardb.StarFile(str(path))["cryolo"]
    return block[[f"_{name}" for name in COLUMNS]]


COLUMNS = [
    "CoordinateX",
    "CoordinateY",
    "CoordinateZ",
    "Width",
    "Height",
    "Depth",
    "EstWidth",
    "EstHeight",
    "Confidence",
]


def test_crYOLOs_own_library_reads_our_boxes_and_empty_files(tmp_path):
    picks = pd.DataFrame({"micrograph": "m1", "x": [100.5, 20, 30], "y": [70.0, 7, 8], "score": [0.75, 0.5, 0.25]})
    shapes = {"crispLongAxisAngstrom": [200.0, 200, 0], "crispShortAxisAngstrom": [120.0, 120, 0]}
    picks = picks.assign(**shapes, crispAngle=[0.0, 90, 0])
    write_cbox_files(tmp_path / "cbox", picks, ["m1", "m2"], size_px=90.0, pixel_size=2.0)
    boxes = crYOLO_boxes(tmp_path / "cbox/m1.cbox")
    found = boxes[["_CoordinateX", "_CoordinateY", "_Width", "_Height", "_EstWidth", "_EstHeight", "_Confidence"]]
    expected = [
        *([55.5, 25, 90, 90, 100, 60, 0.75], [-25, -38, 90, 90, 60, 100, 0.5]),
        [-15, -37, 90, 90, np.nan, np.nan, 0.25],
    ]
    np.testing.assert_allclose(found.to_numpy(float), expected, rtol=1e-6)
    assert boxes[["_CoordinateZ", "_Depth"]].isna().all(axis=None)
    assert len(crYOLO_boxes(tmp_path / "cbox/m2.cbox")) == 0
    star = sp_pystardb.StarFile(str(tmp_path / "cbox/m1.cbox"))
    assert star["global"]["_cbox_format_version"].item() == 1.0 and list(star["cryolo_include"]) == ["_slice_index"]
    assert rows(read_coordinates(tmp_path / "cbox/m1.cbox"))[0] == [100.5, 70, 0.75]


def test_boxes_of_picks_without_outlines_have_no_estimated_size(tmp_path):
    picks = pd.DataFrame({"micrograph": ["m1"], "x": [10.0], "y": [10.0], "score": [np.nan]})
    write_cbox_files(tmp_path, picks, ["m1"], size_px=9.0, pixel_size=2.0)
    assert crYOLO_boxes(tmp_path / "m1.cbox")[["_EstWidth", "_EstHeight", "_Confidence"]].isna().all(axis=None)
