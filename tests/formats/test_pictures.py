import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from crisp_core.formats.images import read_micrograph
from tests.formats.images import ramp, refused


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_png_reads_both_depths(tmp_path, dtype):
    data = ramp(dtype=dtype) * (1 if dtype == np.uint8 else 1000)
    Image.fromarray(data).save(tmp_path / "m.png")
    np.testing.assert_array_equal(read_micrograph(tmp_path / "m.png", pixel_size=1.0).image, data)


@pytest.mark.parametrize("channels", [3, 4])
def test_colours_are_averaged_and_transparency_ignored(tmp_path, channels):
    colours = np.random.default_rng(0).integers(0, 256, (6, 4, channels), dtype=np.uint8)
    Image.fromarray(colours).save(tmp_path / "m.png")
    image = read_micrograph(tmp_path / "m.png", pixel_size=1.0).image
    np.testing.assert_allclose(image, colours[:, :, :3].astype(float).mean(axis=2), rtol=1e-6)


def test_jpg_keeps_the_orientation(tmp_path):
    halves = np.zeros((32, 48), dtype=np.uint8)
    halves[:16] = 200
    Image.fromarray(halves).save(tmp_path / "m.jpg", quality=95)
    image = read_micrograph(tmp_path / "m.jpg", pixel_size=1.0).image
    assert image.shape == (32, 48)
    assert image[:16].mean() > 190 > 10 > image[16:].mean()


@pytest.mark.slow
def test_large_picture_reads_without_a_warning(tmp_path):
    # 11,520 × 8,184, the largest camera, is above Pillow's warning and below its refusal.
    large = Image.new("L", (11520, 8184))
    large.putpixel((1, 0), 255)
    large.save(tmp_path / "m.png", compress_level=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        image = read_micrograph(tmp_path / "m.png", pixel_size=1.0).image
    assert image.shape == (8184, 11520) and image[0, 1] == 255


def test_picture_that_declares_too_many_pixels_is_refused(tmp_path):
    path = tmp_path / "bomb.png"
    Image.new("L", (8, 8)).save(path)
    content = bytearray(path.read_bytes())
    struct.pack_into(">II", content, 16, 40000, 40000)
    path.write_bytes(content)
    refused(path, "(declares more pixels than any camera has|is not a readable PNG file)")


@pytest.mark.parametrize(("kind", "channels"), [(2, 3), (6, 4), (4, 2)])
def test_png_of_16_bits_per_colour_is_refused(tmp_path, kind, channels):
    """Pillow would keep the upper bytes, which are equal here."""
    values = np.random.default_rng(0).integers(0, 200, (20, 30, channels)).astype(">u2")
    lines = b"".join(b"\0" + row.tobytes() for row in values)
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", 30, 20, 16, kind, 0, 0, 0)),
        (b"IDAT", zlib.compress(lines)),
        (b"IEND", b""),
    ]
    content = b"".join(struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    (tmp_path / "m.png").write_bytes(b"\x89PNG\r\n\x1a\n" + content)
    refused(tmp_path / "m.png", "has 16 bits per colour, of which only 8 can be read", pixel_size=1.0)
