import time

import h5py
import numpy as np
import pytest

from crisp_core.errors import UserError
from crisp_core.formats.arrays import array_names, open_arrays, read_array, read_window, write_array

SHAPES = {"m.2": (300, 520), "b": (40, 30), "a": (1, 1)}


def stored(path, dtype=np.float32):
    arrays = {
        name: (np.random.default_rng(i).random(shape) * 3).astype(dtype)
        for i, (name, shape) in enumerate(SHAPES.items())
    }
    with h5py.File(path, "w") as file:
        for name, data in arrays.items():
            write_array(file, "image", name, data, pixel_size=3.54, full_shape=(600, 1040))
    return arrays


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.uint8, np.int8, bool])
def test_array_comes_back_bit_for_bit_with_its_attributes(tmp_path, dtype):
    arrays = stored(tmp_path / "batch.h5", dtype)
    for name, data in arrays.items():
        array = read_array(tmp_path / "batch.h5", "image", name)
        assert array.data.dtype == data.dtype
        np.testing.assert_array_equal(array.data, data)
        assert (array.pixel_size, array.full_shape) == (3.54, (600, 1040))


def test_names_keep_the_order_of_writing(tmp_path):
    stored(tmp_path / "batch.h5")
    assert array_names(tmp_path / "batch.h5", "image") == ["m.2", "b", "a"]
    assert array_names(tmp_path / "batch.h5", "label") == []


def test_window_equals_the_slice_across_chunk_borders(tmp_path):
    data = stored(tmp_path / "batch.h5")["m.2"]
    with open_arrays(tmp_path / "batch.h5") as file:
        window = read_window(file, "image", "m.2", slice(250, 290), slice(500, 520))
    np.testing.assert_array_equal(window, data[250:290, 500:520])


def test_one_large_dataset_is_chunked_and_labels_are_compressed(tmp_path):
    label = np.zeros((1024, 1024), dtype=bool)
    with h5py.File(tmp_path / "label.h5", "w") as file:
        write_array(file, "label", "m", label, pixel_size=1.0, full_shape=(1024, 1024))
        assert file["label/m"].chunks == (256, 256)
    assert (tmp_path / "label.h5").stat().st_size < label.size / 20


def test_writing_twice_gives_identical_bytes(tmp_path):
    stored(tmp_path / "first.h5", np.uint8)
    time.sleep(1.05)  # HDF5's time stamps, if there were any, count seconds
    stored(tmp_path / "second.h5", np.uint8)
    assert (tmp_path / "first.h5").read_bytes() == (tmp_path / "second.h5").read_bytes()


def test_unreadable_files_name_themselves_and_the_cure(tmp_path):
    text = tmp_path / "text.h5"
    text.write_text("not hdf5")
    with pytest.raises(UserError, match=r"text\.h5: is not an HDF5 file.*run the workflow again"):
        read_array(text, "image", "m")
    with pytest.raises(UserError, match=r"absent\.h5: no such file; check the path"):
        array_names(tmp_path / "absent.h5", "image")
    stored(tmp_path / "batch.h5")
    with pytest.raises(UserError, match=r"batch\.h5: has no array label/b in CRISP's form; if the file is a result"):
        read_array(tmp_path / "batch.h5", "label", "b")
    with h5py.File(tmp_path / "foreign.h5", "w") as file:
        file["image/m"] = np.zeros((2, 2))
    with pytest.raises(UserError, match=r"foreign\.h5: has no array image/m in CRISP's form"):
        read_array(tmp_path / "foreign.h5", "image", "m")


def test_truncated_file_is_refused(tmp_path):
    stored(tmp_path / "batch.h5")
    cut = tmp_path / "cut.h5"
    cut.write_bytes((tmp_path / "batch.h5").read_bytes()[:-1000])
    with pytest.raises(UserError, match=r"cut\.h5: .*truncated"):
        read_array(cut, "image", "a")


def test_name_with_a_slash_is_a_programming_error(tmp_path):
    with h5py.File(tmp_path / "batch.h5", "w") as file, pytest.raises(ValueError, match="slash"):
        write_array(file, "image", "a/b", np.zeros((2, 2)), pixel_size=1.0, full_shape=(2, 2))
