"""Images and MRC files that tests of several formats use."""

import struct

import mrcfile
import numpy as np
import pytest

from crisp_core.errors import UserError
from crisp_core.formats.images import read_micrograph


def ramp(shape=(5, 7), dtype=np.float32):
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


def mrc_by_the_library(path, data, pixel_size=1.5):
    """A file that mrcfile wrote, so that our reader is not judged by our writer."""
    with mrcfile.new(path, overwrite=True) as mrc:
        mrc.set_data(data)
        mrc.voxel_size = pixel_size
    return path


def patched(path, **fields):
    """Overwrite 4-byte header words by number (from 1), as MRC2014 counts them."""
    content = bytearray(path.read_bytes())
    for word, value in fields.items():
        kind = "<i" if isinstance(value, int) else "<f"
        struct.pack_into(kind, content, 4 * (int(word[1:]) - 1), value)
    path.write_bytes(content)
    return path


def refused(path, message, **options):
    with pytest.raises(UserError, match=message) as caught:
        read_micrograph(path, **options)
    assert path.name in str(caught.value) and "\n" not in str(caught.value)


UNKNOWN = {"w20": 0.0, "w21": -1.0, "w22": -2.0}
