import struct

import numpy as np
import pytest
import tifffile

from crisp_core.formats.images import read_micrograph
from tests.formats.images import ramp, refused


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32, np.float64])
def test_tiff_reads(tmp_path, dtype):
    tifffile.imwrite(tmp_path / "m.tif", ramp(dtype=dtype))
    np.testing.assert_array_equal(read_micrograph(tmp_path / "m.tif", pixel_size=1.0).image, ramp())


@pytest.mark.parametrize("below", [False, True])
def test_a_thumbnail_beside_one_image_is_no_movie(tmp_path, below):
    with tifffile.TiffWriter(tmp_path / "m.tif") as file:
        file.write(ramp((64, 80)), subifds=1 if below else 0, metadata=None)
        file.write(ramp((16, 20)), subfiletype=1, metadata=None)
    np.testing.assert_array_equal(read_micrograph(tmp_path / "m.tif", pixel_size=1.0).image, ramp((64, 80)))


@pytest.mark.parametrize("compression", ["lzw", "zlib", "packbits", "zstd", "jpeg"])
def test_compressed_tiff_reads(tmp_path, compression):
    smooth = np.add.outer(np.arange(64), np.arange(96)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "m.tif", smooth, compression=compression)
    tolerance = 6 if compression == "jpeg" else 0
    np.testing.assert_allclose(read_micrograph(tmp_path / "m.tif", pixel_size=1.0).image, smooth, atol=tolerance)


def test_compression_that_nobody_reads_is_named(tmp_path):
    tifffile.imwrite(tmp_path / "m.tif", ramp((64, 96)), compression="lzw")
    content = (tmp_path / "m.tif").read_bytes()
    # tag 259 (compression), of type 3 (16 bits), one value: 5 is LZW, 32771 is CCITT with byte alignment
    tag = struct.pack("<HHIH", 259, 3, 1, 5)
    assert content.count(tag) == 1
    (tmp_path / "m.tif").write_bytes(content.replace(tag, struct.pack("<HHIH", 259, 3, 1, 32771)))
    refused(tmp_path / "m.tif", "is compressed by .*, which cannot be read; write it again with LZW or", pixel_size=1.0)
