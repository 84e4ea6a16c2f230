import bz2
import gzip
import os
import struct
import warnings
import zlib

import h5py
import mrcfile
import numpy as np
import pytest
import tifffile
from PIL import Image

from crisp_core.errors import UserError
from crisp_core.formats.arrays import write_array
from crisp_core.formats.images import mrc_header, read_micrograph, read_volume, write_mrc

MODES = {0: np.int8, 1: np.int16, 2: np.float32, 6: np.uint16, 12: np.float16}


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


@pytest.mark.parametrize("dtype", MODES.values(), ids=lambda kind: kind.__name__)
def test_every_mrc_mode_reads_with_row_0_first(tmp_path, dtype):
    path = mrc_by_the_library(tmp_path / "m.mrc", ramp(dtype=dtype))
    micrograph = read_micrograph(path)
    assert micrograph.image.dtype == np.float32
    np.testing.assert_array_equal(micrograph.image, ramp())
    assert micrograph.pixel_size == 1.5


def test_big_endian_and_old_headers_read(tmp_path):
    big = mrc_by_the_library(tmp_path / "big.mrc", ramp(dtype=">f4"))
    np.testing.assert_array_equal(read_micrograph(big).image, ramp())
    # Word 53 is the identifier and word 54 the machine stamp; programs from before 2000 leave both empty.
    old = patched(mrc_by_the_library(tmp_path / "old.mrc", ramp()), w53=0, w54=0)
    np.testing.assert_array_equal(read_micrograph(old).image, ramp())


def test_pixel_size_given_overrides_the_header(tmp_path):
    path = mrc_by_the_library(tmp_path / "m.mrc", ramp())
    assert read_micrograph(path, pixel_size=1.77).pixel_size == 1.77


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32, np.float64])
def test_tiff_reads(tmp_path, dtype):
    tifffile.imwrite(tmp_path / "m.tif", ramp(dtype=dtype))
    np.testing.assert_array_equal(read_micrograph(tmp_path / "m.tif", pixel_size=1.0).image, ramp())


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


def test_simulated_micrograph_reads_from_its_batch(tmp_path):
    with h5py.File(tmp_path / "batch.h5", "w") as file:
        write_array(file, "image", "m1", ramp(), pixel_size=3.5, full_shape=(5, 7))
    micrograph = read_micrograph(tmp_path / "batch.h5", name="m1")
    np.testing.assert_array_equal(micrograph.image, ramp())
    assert micrograph.pixel_size == 3.5


def refused(path, message, **options):
    with pytest.raises(UserError, match=message) as caught:
        read_micrograph(path, **options)
    assert path.name in str(caught.value) and "\n" not in str(caught.value)


def test_missing_empty_directory_and_unknown_suffix(tmp_path):
    refused(tmp_path / "absent.mrc", "no such file; check the path")
    (tmp_path / "empty.mrc").touch()
    refused(tmp_path / "empty.mrc", r"is empty \(0 bytes\); copy the file again")
    (tmp_path / "folder.mrc").mkdir()
    refused(tmp_path / "folder.mrc", r"is a directory; name the files in it")
    refused(tmp_path / "movie.eer", r"unknown format '\.eer'; micrographs must be one of \.mrc")


@pytest.fixture
def ordinary_user():
    """Give up root's right to read everything for one test."""
    if os.geteuid() == 0:
        os.seteuid(65534)
        yield
        os.seteuid(0)
    else:
        yield


def test_permission_denied(tmp_path, ordinary_user, request):
    path = tmp_path / "locked.mrc"
    if os.geteuid() != 65534:
        path.write_bytes(b"x")
        path.chmod(0)
    refused(path, r"permission denied; make the file readable \(chmod u\+r\)")


def test_header_is_checked_against_the_file_size_before_reading(tmp_path):
    path = mrc_by_the_library(tmp_path / "m.mrc", ramp())
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    refused(path, f"truncated, its header promises {len(whole)} bytes and it has {len(whole) - 1}")
    path.write_bytes(whole[:500])
    refused(path, "truncated, 500 bytes are less than an MRC header")
    path.write_bytes(whole)
    refused(patched(path, w1=31623, w2=31623), "truncated, its header promises 4000057540 bytes and it has 1164")
    path.write_bytes(whole)
    refused(patched(path, w24=2_000_000_000), "truncated, its header promises 2000001164 bytes")
    refused(patched(path, w24=-5), r"broken MRC header \(extended header of -5 bytes\)")


def test_movies_and_unsupported_modes_are_refused(tmp_path):
    movie = mrc_by_the_library(tmp_path / "movie.mrc", ramp((3, 5, 7)))
    refused(movie, "holds 3 images, so it is a movie or a stack; give its motion-corrected average")
    transform = mrc_by_the_library(tmp_path / "fourier.mrc", ramp(dtype=np.complex64))
    refused(transform, "MRC mode 4 is not supported; convert it to one of 0, 1, 2, 6, 12")
    tifffile.imwrite(tmp_path / "movie.tif", ramp((3, 50, 70)), photometric="minisblack")
    refused(tmp_path / "movie.tif", "holds 3 pages, so it is a movie or a stack", pixel_size=1.0)


@pytest.mark.parametrize(("suffix", "kind"), [(".jpg", "JPEG"), (".png", "PNG"), (".tif", "TIFF")])
def test_picture_renamed_to_mrc_is_refused(tmp_path, suffix, kind):
    Image.fromarray(ramp((64, 64), np.uint8)).save(tmp_path / f"m{suffix}")
    renamed = (tmp_path / f"m{suffix}").rename(tmp_path / "m.mrc")
    refused(renamed, f"is a {kind} file and not MRC; give it the suffix of its format")


def test_text_named_mrc_is_refused(tmp_path):
    (tmp_path / "m.mrc").write_bytes(b"no micrograph " * 100)
    refused(tmp_path / "m.mrc", "is not an MRC file, whatever its name says")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("m.jpg", r"is not a readable JPEG file \(wrong format\); copy or convert it again"),
        ("m.png", r"is not a readable PNG file \(wrong format\); copy or convert it again"),
        ("m.tif", r"is not a readable TIFF file \(.*\); copy or convert it again"),
    ],
)
def test_mrc_renamed_to_a_picture_is_refused(tmp_path, name, reason):
    path = mrc_by_the_library(tmp_path / "m.mrc", ramp()).rename(tmp_path / name)
    refused(path, reason)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_truncated_picture_is_refused(tmp_path, suffix):
    path = tmp_path / f"m{suffix}"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    refused(path, "is not a readable (JPEG|PNG|TIFF) file .*copy or convert it again", pixel_size=1.0)


def test_picture_that_declares_too_many_pixels_is_refused(tmp_path):
    path = tmp_path / "bomb.png"
    Image.new("L", (8, 8)).save(path)
    content = bytearray(path.read_bytes())
    struct.pack_into(">II", content, 16, 40000, 40000)
    path.write_bytes(content)
    refused(path, "(declares more pixels than any camera has|is not a readable PNG file)")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # mrcfile's, when it writes such data
def test_values_that_are_not_numbers_are_refused(tmp_path, value):
    data = ramp()
    data[2, 3] = value
    refused(mrc_by_the_library(tmp_path / "m.mrc", data), "holds NaN or infinite values; make it again")


def test_constant_image_is_refused(tmp_path):
    refused(mrc_by_the_library(tmp_path / "m.mrc", np.full((4, 4), 7.0, np.float32)), "every pixel is 7, so there is")


def test_pixel_size_must_come_from_somewhere_and_be_square(tmp_path, caplog):
    path = mrc_by_the_library(tmp_path / "m.mrc", ramp(), pixel_size=0.0)
    refused(path, r"does not say its pixel size; set pixel_size \(Å/px\) in the dataset's entry")
    oblong = mrc_by_the_library(tmp_path / "oblong.mrc", ramp(), pixel_size=(1.0, 2.0, 1.0))
    refused(oblong, r"its header says pixels of 1 × 2 Å; set pixel_size \(Å/px\) if they are square")
    assert read_micrograph(oblong, pixel_size=1.5).pixel_size == 1.5
    assert "its header says pixels of 1 × 2 Å; the pixel_size of 1.5 Å/px is taken" in caplog.text
    Image.fromarray(ramp(dtype=np.uint8)).save(tmp_path / "m.png")
    refused(tmp_path / "m.png", r"set pixel_size \(Å/px\)")


@pytest.mark.parametrize("value", [3e38, -3e38, 2e12])
def test_a_finite_number_that_no_camera_counts_is_refused(tmp_path, value):
    data = ramp()
    data[2, 3] = value
    refused(mrc_by_the_library(tmp_path / "m.mrc", data), r"holds a value of -?[23]e\+(38|12), beyond 1e\+12")


STAMP = {"w39": 1146047817}
UNKNOWN = {"w20": 0.0, "w21": -1.0, "w22": -2.0}


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (STAMP | UNKNOWN | {"w40": 0}, np.uint8),
        (STAMP | UNKNOWN | {"w40": 1}, np.int8),
        ({"w20": 60.0, "w21": 250.0}, np.uint8),
        (STAMP | {"w20": 60.0, "w21": 250.0, "w40": 0}, np.uint8),
        ({"w20": -120.0, "w21": 120.0}, np.int8),
    ],
)
def test_bytes_have_the_sign_that_the_header_says(tmp_path, words, meant):
    values = np.random.default_rng(0).normal(150, 20, (40, 50)).astype(np.uint8)
    path = patched(mrc_by_the_library(tmp_path / "m.mrc", values.view(np.int8)), **words)
    np.testing.assert_array_equal(read_micrograph(path).image, values.view(meant))


def test_bytes_without_a_sign_or_with_two_are_refused(tmp_path):
    values = np.random.default_rng(0).normal(130, 20, (40, 50)).astype(np.uint8).view(np.int8)
    path = mrc_by_the_library(tmp_path / "m.mrc", values)
    refused(patched(path, **UNKNOWN), "look like unsigned ones, and nothing in its header says so; write it again as")
    refused(patched(path, w39=1146047817, w40=1, w20=60.0, w21=250.0), "contradict each other on whether its bytes")
    signed = np.random.default_rng(0).normal(0, 20, (40, 50)).astype(np.int8)
    path = patched(mrc_by_the_library(tmp_path / "s.mrc", signed), **UNKNOWN)
    np.testing.assert_array_equal(read_micrograph(path).image, signed)


def hidden_stack(path):
    """One page, with two more images behind it that no tag names."""
    tifffile.imwrite(path, ramp((90, 70)), metadata=None)
    with open(path, "ab") as file:
        file.write(ramp((2, 90, 70)).tobytes())


def mrc_with_more(path):
    mrc_by_the_library(path, ramp())
    with open(path, "ab") as file:
        file.write(ramp().tobytes())


def animated(path):
    frames = [Image.fromarray(ramp((20, 30), np.uint8) + i) for i in range(3)]
    frames[0].save(path, save_all=True, append_images=frames[1:])


STACK = ramp((3, 50, 70))
SEVERAL = {
    "pages.tif": (lambda path: tifffile.imwrite(path, STACK, photometric="minisblack"), "holds 3 pages"),
    "imagej.tif": (lambda path: tifffile.imwrite(path, STACK, imagej=True), "stack|holds 3 pages"),
    "hyper.tif": (
        lambda path: tifffile.imwrite(path, ramp((2, 3, 50, 70)), imagej=True, metadata={"axes": "TZYX"}),
        "stack|holds 6 pages",
    ),
    "hidden.tif": (hidden_stack, "has a stack of images or other data behind its only page"),
    "planes.tif": (
        lambda path: tifffile.imwrite(path, STACK, photometric="minisblack", planarconfig="separate"),
        "so it is a stack|TIFF of kind MINISBLACK with 3 values per pixel|holds 3 values per pixel",
    ),
    "samples.tif": (
        lambda path: tifffile.imwrite(path, ramp((50, 70, 4)), photometric="minisblack", planarconfig="contig"),
        "values per pixel",
    ),
    "complex.tif": (lambda path: tifffile.imwrite(path, STACK[0].astype(np.complex64)), "are not plain numbers"),
    "palette.tif": (
        lambda path: tifffile.imwrite(
            path, ramp((9, 9), np.uint8), photometric="palette", colormap=np.zeros((3, 256), np.uint16)
        ),
        "TIFF of kind PALETTE",
    ),
    "white.tif": (lambda path: tifffile.imwrite(path, ramp((9, 9)), photometric="miniswhite"), "of kind MINISWHITE"),
    "more.mrc": (mrc_with_more, "has 1304 bytes and its header describes 1164, so it holds more than one image"),
    "animated.png": (animated, "holds 3 images; give its motion-corrected average"),
    "palette.png": (lambda path: coloured_palette().save(path), "its colours are those of a palette"),
}


def coloured_palette():
    image = Image.fromarray(ramp((9, 9), np.uint8)).convert("P")
    image.putpalette([value for i in range(256) for value in (i, 255 - i, 0)])
    return image


@pytest.mark.parametrize("name", SEVERAL)
def test_what_is_not_one_grey_image_is_refused(tmp_path, name):
    write, message = SEVERAL[name]
    write(tmp_path / name)
    refused(tmp_path / name, message, pixel_size=1.0)


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


@pytest.mark.parametrize("dtype", [np.int8, np.float16, np.float32])
@pytest.mark.parametrize("shape", [(5, 7), (4, 4, 4)])
def test_written_mrc_is_valid_and_comes_back(tmp_path, dtype, shape):
    data = (ramp(shape) % 2).astype(dtype)
    write_mrc(tmp_path / "m.mrc", data, pixel_size=1.77, dtype=dtype)
    assert mrcfile.validate(tmp_path / "m.mrc")
    with mrcfile.open(tmp_path / "m.mrc") as mrc:
        assert mrc.data.dtype == dtype
        np.testing.assert_array_equal(mrc.data, data)
        assert mrc.voxel_size.x == pytest.approx(1.77, rel=1e-6)
        assert mrc.is_volume() == (len(shape) == 3)
        assert bytes(mrc.header.map) == b"MAP " and list(mrc.header.machst[:2]) == [0x44, 0x44]
        assert (mrc.header.mapc, mrc.header.mapr, mrc.header.maps) == (1, 2, 3)
        assert (mrc.header.dmin, mrc.header.dmax) == (0, 1)
    if len(shape) == 2:
        assert read_micrograph(tmp_path / "m.mrc").pixel_size == 1.77


def test_header_differs_from_the_librarys_only_in_its_label(tmp_path):
    write_mrc(tmp_path / "ours.mrc", ramp(), pixel_size=1.5, dtype=np.float32)
    ours, theirs = (
        (tmp_path / "ours.mrc").read_bytes(),
        mrc_by_the_library(tmp_path / "theirs.mrc", ramp()).read_bytes(),
    )
    label = slice(224, 304)
    assert ours[: label.start] == theirs[: label.start] and ours[label.stop :] == theirs[label.stop :]
    assert ours[label].rstrip(b"\0") == b"CRISP"


def test_bool_label_is_written_as_int8(tmp_path):
    write_mrc(tmp_path / "m.mrc", ramp() > 10, pixel_size=1.0, dtype=np.int8)
    np.testing.assert_array_equal(mrcfile.read(tmp_path / "m.mrc"), (ramp() > 10).astype(np.int8))


def test_header_of_a_stack_counts_sections():
    header = np.frombuffer(mrc_header((9, 4, 6), dtype=np.float32, pixel_size=2.0, stack=True)[:56], "<i4")
    assert list(header[[0, 1, 2, 7, 8, 9]]) == [6, 4, 9, 6, 4, 1]


@pytest.mark.parametrize(("suffix", "opener"), [("", open), (".gz", gzip.open), (".bz2", bz2.open)])
def test_volume_reads_plain_and_compressed(tmp_path, suffix, opener):
    plain = mrc_by_the_library(tmp_path / "v.mrc", ramp((4, 4, 4)), pixel_size=2.5).read_bytes()
    path = tmp_path / f"v.map{suffix}"
    with opener(path, "wb") as file:
        file.write(plain)
    volume = read_volume(path)
    np.testing.assert_array_equal(volume.density, ramp((4, 4, 4)))
    assert volume.pixel_size == 2.5
    with opener(path, "wb") as file:
        file.write(plain[:-7])
    with pytest.raises(UserError, match=f"truncated, its header promises {len(plain)} bytes and it has"):
        read_volume(path)


def test_volume_axes_are_put_into_order(tmp_path):
    data = ramp((4, 4, 4))
    path = mrc_by_the_library(tmp_path / "v.map", data)
    patched(path, w17=3, w18=1, w19=2)  # columns run along z, rows along x, sections along y
    expected = np.einsum("yxz->zyx", data)
    np.testing.assert_array_equal(read_volume(path).density, expected)


def test_bad_volumes_are_refused(tmp_path):
    oblong = mrc_by_the_library(tmp_path / "oblong.mrc", ramp((4, 4, 6)))
    assert read_volume(oblong).density.shape == (4, 4, 6)
    with pytest.raises(UserError, match=r"image\.mrc: holds an image and no density map"):
        read_volume(mrc_by_the_library(tmp_path / "image.mrc", ramp((4, 6))))
    unknown = mrc_by_the_library(tmp_path / "unknown.mrc", ramp((4, 4, 4)), pixel_size=0.0)
    with pytest.raises(UserError, match=r"unknown\.mrc: the map does not say its pixel size; write it into"):
        read_volume(unknown)
    assert read_volume(unknown, pixel_size=5.0).pixel_size == 5.0
    (tmp_path / "broken.map.gz").write_bytes(gzip.compress(oblong.read_bytes())[:60])
    with pytest.raises(UserError, match=r"broken.map.gz: broken archive"):
        read_volume(tmp_path / "broken.map.gz")


@pytest.mark.real
def test_genuine_maps_read(shared_data):
    plain = read_volume(shared_data / "maps/mrcfile_EMD-3197.map")
    assert plain.density.shape == (20, 20, 20) and plain.pixel_size == 11.4
    for name in ("mrcfile_emd_3197.map.gz", "mrcfile_EMD-3197.map.bz2"):
        np.testing.assert_array_equal(read_volume(shared_data / "maps" / name).density, plain.density)
    np.testing.assert_array_equal(plain.density, mrcfile.read(shared_data / "maps/mrcfile_EMD-3197.map"))
    assert read_volume(shared_data / "maps/banjac_5j0n.mrc").density.shape == (69, 57, 75)
    with pytest.raises(UserError, match="does not say its pixel size"):
        read_volume(shared_data / "maps/aspire_clean70SRibosome_vol_65p.mrc")


@pytest.mark.real
def test_real_micrographs_read(shared_data):
    path = shared_data / "empiar-10146/micrographs/May08_04.33.57.png"
    image = read_micrograph(path, pixel_size=1.5).image
    np.testing.assert_array_equal(image, np.asarray(Image.open(path)))


@pytest.mark.parametrize("mode", [0, 1, 2, 6, 12])
def test_big_endian_of_any_mode_and_a_round_size_reads(tmp_path, mode):
    """A power of 2 is positive in the wrong byte order too, and so is mode 0."""
    dtype = {0: "i1", 1: ">i2", 2: ">f4", 6: ">u2", 12: ">f2"}[mode]
    data = (np.arange(256 * 512).reshape(256, 512) % 100).astype(dtype)
    words = np.zeros(256, dtype=">i4")
    words[[0, 1, 2, 3, 7, 8, 9]] = [512, 256, 1, mode, 512, 256, 1]
    words[10:13] = np.array([768, 384, 1.5], dtype=">f4").view(">i4")
    words[16:19] = [1, 2, 3]
    path = tmp_path / "m.mrc"
    # right, missing, and that of the other order
    for stamp in (b"MAP \x11\x11\0\0", bytes(8), b"MAP DD\0\0"):
        head = bytearray(words.tobytes())
        head[208:216] = stamp
        path.write_bytes(bytes(head) + data.tobytes())
        image, pixel_size = read_micrograph(path)
        assert pixel_size == 1.5
        np.testing.assert_array_equal(image, data.astype(np.float32))


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
