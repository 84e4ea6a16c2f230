import os

import h5py
import numpy as np
import pytest
import tifffile
from PIL import Image

from crisp_core.formats.arrays import write_array
from crisp_core.formats.images import read_micrograph
from tests.formats.images import mrc_by_the_library, ramp, refused


def test_pixel_size_given_overrides_the_header(tmp_path):
    path = mrc_by_the_library(tmp_path / "m.mrc", ramp())
    assert read_micrograph(path, pixel_size=1.77).pixel_size == 1.77


def test_simulated_micrograph_reads_from_its_batch(tmp_path):
    with h5py.File(tmp_path / "batch.h5", "w") as file:
        write_array(file, "image", "m1", ramp(), pixel_size=3.5, full_shape=(5, 7))
    micrograph = read_micrograph(tmp_path / "batch.h5", name="m1")
    np.testing.assert_array_equal(micrograph.image, ramp())
    assert micrograph.pixel_size == 3.5


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
    refused(tmp_path / "m.mrc", "is not an MRC file, though its suffix says so")


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


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # mrcfile's, when it writes such data
def test_values_that_are_not_numbers_are_refused(tmp_path, value):
    data = ramp()
    data[2, 3] = value
    refused(mrc_by_the_library(tmp_path / "m.mrc", data), "holds NaN or infinite values; process it again")


def test_constant_image_is_refused(tmp_path):
    refused(
        mrc_by_the_library(tmp_path / "m.mrc", np.full((4, 4), 7.0, np.float32)),
        "every pixel is 7, so it shows no image",
    )


def test_pixel_size_must_come_from_somewhere_and_be_square(tmp_path, caplog):
    path = mrc_by_the_library(tmp_path / "m.mrc", ramp(), pixel_size=0.0)
    refused(path, r"does not state its pixel size; set pixel_size \(Å/px\) in the dataset's entry")
    oblong = mrc_by_the_library(tmp_path / "oblong.mrc", ramp(), pixel_size=(1.0, 2.0, 1.0))
    refused(oblong, r"its header says pixels of 1 × 2 Å; set pixel_size \(Å/px\) if they are square")
    assert read_micrograph(oblong, pixel_size=1.5).pixel_size == 1.5
    assert "its header says pixels of 1 × 2 Å; the pixel_size of 1.5 Å/px is used" in caplog.text
    Image.fromarray(ramp(dtype=np.uint8)).save(tmp_path / "m.png")
    refused(tmp_path / "m.png", r"set pixel_size \(Å/px\)")


@pytest.mark.parametrize("value", [3e38, -3e38, 2e12])
def test_a_finite_number_that_no_camera_counts_is_refused(tmp_path, value):
    data = ramp()
    data[2, 3] = value
    refused(mrc_by_the_library(tmp_path / "m.mrc", data), r"holds a value of -?[23]e\+(38|12), beyond 1e\+12")


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


@pytest.mark.real
def test_real_micrographs_read(shared_data):
    path = shared_data / "empiar-10146/micrographs/May08_04.33.57.png"
    image = read_micrograph(path, pixel_size=1.5).image
    np.testing.assert_array_equal(image, np.asarray(Image.open(path)))
