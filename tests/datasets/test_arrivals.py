import os

import numpy as np
import pytest
import tifffile
from PIL import Image

from crisp_core.datasets.arrivals import has_arrived
from crisp_core.formats.mrc import write_mrc

IMAGE = np.random.default_rng(0).integers(0, 200, (40, 50), dtype=np.uint8)


def write(path):
    if path.suffix == ".mrc":
        write_mrc(path, IMAGE.astype(np.float32), pixel_size=1.0, dtype="float32")
    elif path.suffix == ".tif":
        tifffile.imwrite(path, IMAGE, compression="zlib")
    else:
        Image.fromarray(IMAGE).save(path)
    return path


def changed(path):
    return os.stat(path).st_ctime


def test_a_file_has_arrived_when_it_is_left_alone(tmp_path):
    path = write(tmp_path / "a.mrc")
    assert not has_arrived(path, seconds=30, now=changed(path) + 29)
    assert has_arrived(path, seconds=30, now=changed(path) + 30)
    assert not has_arrived(path, seconds=30)


def test_a_copied_time_of_writing_does_not_hide_that_a_file_is_new(tmp_path):
    path = write(tmp_path / "a.mrc")
    os.utime(path, (1.0, 1.0))
    assert not has_arrived(path, seconds=30)


@pytest.mark.parametrize("name", ["a.mrc", "a.tif", "a.png", "a.jpg"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.97])
def test_a_part_of_a_file_has_not_arrived_until_patience_ends(tmp_path, name, share):
    path = write(tmp_path / name)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    assert not has_arrived(path, seconds=30, now=changed(path) + 299)
    assert has_arrived(path, seconds=30, now=changed(path) + 300)
    path.write_bytes(whole)
    assert has_arrived(path, seconds=30, now=changed(path) + 30)


def test_a_file_that_is_away_has_not_arrived(tmp_path):
    assert not has_arrived(tmp_path / "a.mrc", seconds=1)
