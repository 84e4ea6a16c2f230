import numpy as np
import pytest

from crisp_core.errors import UserError
from crisp_core.formats.coordinates.registry import read_coordinates
from crisp_core.formats.cs_files import LOCATION_FIELDS, SCORE_FIELD, write_cs


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
    assert len(read_coordinates(tmp_path / "m.cs")) == 2
    rows[field][1] = value
    write_cs(tmp_path / "m.cs", rows)
    with pytest.raises(UserError, match=rf"m\.cs: {message}; export the particles again"):
        read_coordinates(tmp_path / "m.cs")


def test_segments_of_cryosparc_are_refused(tmp_path):
    path, shape, *places = LOCATION_FIELDS
    fields = [(path, "S8"), (shape, "<u4", 2), *((name, "<f4") for name in places), ("filament/filament_uid", "<u8")]
    write_cs(tmp_path / "m.cs", np.zeros(2, dtype=fields))
    with pytest.raises(
        UserError, match=r"m\.cs: has the fields filament/…, so its particles are segments of filaments"
    ):
        read_coordinates(tmp_path / "m.cs")
