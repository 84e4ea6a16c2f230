import pytest

from crisp_core.errors import UserError
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
