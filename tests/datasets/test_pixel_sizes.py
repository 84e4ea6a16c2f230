import numpy as np
import pytest
import tifffile

from crisp_core.datasets.pixel_sizes import (
    agreed_pixel_size,
    check_stated_pixel_size,
    header_notices,
    shape_notices,
    stated_pixel_size,
)
from crisp_core.errors import UserError
from crisp_core.formats.mrc import write_mrc


def with_cell(path, x, y, shape=(40, 60)):
    write_mrc(path, np.arange(shape[0] * shape[1]).reshape(shape), pixel_size=1.0, dtype=np.float32)
    content = bytearray(path.read_bytes())
    content[40:48] = np.array([x, y], dtype="<f4").tobytes()
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ((106.2, 70.8), 1.77),
        ((0, 0), None),
        ((60, 40), None),  # 1 Å: the default of many programs
        ((106.2, 106.2), None),  # one length for both sides
        ((np.nan, 70.8), None),
        ((-106.2, -70.8), None),
    ],
)
def test_the_pixel_size_that_somebody_wrote_into_a_header(tmp_path, cell, expected):
    assert stated_pixel_size(with_cell(tmp_path / "m.mrc", *cell)) == expected


def test_other_formats_and_broken_files_state_no_pixel_size(tmp_path):
    tifffile.imwrite(tmp_path / "m.tif", np.ones((5, 7), np.float32))
    (tmp_path / "broken.mrc").write_bytes(b"no header")
    assert [stated_pixel_size(tmp_path / name) for name in ("m.tif", "broken.mrc", "missing.mrc")] == [None] * 3


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ([None, np.nan], None),
        ([3.0, 3.0, 1.505, None], 1.5),  # one that states the config's, but for the calibration
        ([3.0, 0.75, 3.0], 3.0),
    ],
)
def test_the_pixel_size_on_which_headers_agree(stated, expected):
    assert agreed_pixel_size(stated, 1.5) == expected


def test_a_header_unlike_the_others_is_refused_and_one_unlike_the_config_noticed(tmp_path):
    path = with_cell(tmp_path / "m.mrc", 106.2, 70.8)
    for agreed in (1.77, 1.78, None):
        check_stated_pixel_size(path, agreed)
    message = r"m\.mrc: its header says pixels of 1.77 Å, those of other micrographs 3.54 Å; put micrographs of"
    with pytest.raises(UserError, match=message):
        check_stated_pixel_size(path, 3.54)
    stated = {"a.mrc": 3.0, "b.mrc": None, "c.mrc": np.nan, "d.mrc": 3.0, "e.mrc": 1.77}
    (notice,) = header_notices(stated, 1.77)
    assert notice.startswith("a.mrc: its header says pixels of 3 Å (2 files in all), the config's pixel_size is 1.77")
    assert header_notices(stated | {"a.mrc": 1.77, "d.mrc": 1.77}, 1.77) == []


def test_another_binning_without_a_header_is_told():
    shapes = {"a.tif": (400, 600), "b.tif": (400, 600), "c.tif": (200, 300), "d.tif": (800, 1200), "e.tif": (800, 600)}
    first, second = shape_notices(shapes, dict.fromkeys(shapes))
    assert first.startswith("c.tif: has 200 × 300 pixels (1 files in all), others have 400 × 600, and its header")
    assert second.startswith("d.tif: has 800 × 1200 pixels")
    assert shape_notices(shapes, dict.fromkeys(shapes, 1.5)) == []
    assert shape_notices(shapes, dict.fromkeys(shapes, np.nan) | {"c.tif": 3.0, "d.tif": 0.75}) == []
