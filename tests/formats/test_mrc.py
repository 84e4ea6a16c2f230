import mrcfile
import numpy as np
import pytest

from crisp_core.formats.images import read_micrograph
from crisp_core.formats.mrc import mrc_header, read_note, write_mrc
from tests.formats.images import UNKNOWN, mrc_by_the_library, patched, ramp, refused

MODES = {0: np.int8, 1: np.int16, 2: np.float32, 6: np.uint16, 12: np.float16}


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


def test_header_is_checked_against_the_file_size_before_reading(tmp_path):
    path = mrc_by_the_library(tmp_path / "m.mrc", ramp())
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    refused(path, f"truncated, its header states {len(whole)} bytes and it has {len(whole) - 1}")
    path.write_bytes(whole[:500])
    refused(path, "truncated, 500 bytes are less than an MRC header")
    path.write_bytes(whole)
    refused(patched(path, w1=31623, w2=31623), "truncated, its header states 4000057540 bytes and it has 1164")
    path.write_bytes(whole)
    refused(patched(path, w24=2_000_000_000), "truncated, its header states 2000001164 bytes")
    refused(patched(path, w24=-5), r"broken MRC header \(extended header of -5 bytes\)")


STAMP = {"w39": 1146047817}


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
    refused(patched(path, **UNKNOWN), "look unsigned, and its header does not state their sign; write it again as")
    refused(patched(path, w39=1146047817, w40=1, w20=60.0, w21=250.0), "contradict each other on whether its bytes")
    signed = np.random.default_rng(0).normal(0, 20, (40, 50)).astype(np.int8)
    path = patched(mrc_by_the_library(tmp_path / "s.mrc", signed), **UNKNOWN)
    np.testing.assert_array_equal(read_micrograph(path).image, signed)


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


def test_a_note_is_a_label_that_mrcfile_reads(tmp_path):
    write_mrc(tmp_path / "m.mrc", ramp(), pixel_size=1.0, dtype=np.float32, note="half map by relion")
    with mrcfile.open(tmp_path / "m.mrc") as file:
        assert file.get_labels() == ["CRISP", "half map by relion"]
    assert mrcfile.validate(tmp_path / "m.mrc") and read_note(tmp_path / "m.mrc") == "half map by relion"


def test_header_of_a_stack_counts_sections():
    header = np.frombuffer(mrc_header((9, 4, 6), dtype=np.float32, pixel_size=2.0, stack=True)[:56], "<i4")
    assert list(header[[0, 1, 2, 7, 8, 9]]) == [6, 4, 9, 6, 4, 1]


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
