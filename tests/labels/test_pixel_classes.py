import h5py
import numpy as np

from crisp_core.formats.arrays import write_array
from crisp_core.labels.pixel_classes import add_scenery_classes, predicted_label, sample_classes, signed_label


def test_scenery_covers_particles_only_where_it_is_a_contaminant():
    label = np.array([[0, 1], [0, 1], [0, 1]], dtype=np.uint8)
    scenery = np.array([[0, 0], [2, 2], [3, 3]], dtype=np.uint8)
    np.testing.assert_array_equal(add_scenery_classes(label, scenery), [[0, 1], [2, 2], [3, 1]])


def test_scenery_of_a_finer_grid_is_taken_where_the_pixels_are():
    fine = np.random.default_rng(0).integers(0, 4, (12, 20)).astype(np.uint8)
    fine[fine == 1] = 0
    # The first pixel stays the first one: pixel i of the coarse grid is pixel 4 i of the fine one.
    np.testing.assert_array_equal(add_scenery_classes(np.zeros((3, 5), np.uint8), fine), fine[::4, ::4])
    assert add_scenery_classes(np.zeros((5, 7), np.uint8), fine).shape == (5, 7)


def test_an_exported_label_has_minus_one_where_pixels_count_for_nothing():
    label, valid = np.array([[0, 1, 2], [3, 1, 0]], np.uint8), np.array([[1, 1, 0], [1, 0, 1]], bool)
    exported = signed_label(label, valid)
    assert exported.dtype == np.int8 and exported.tolist() == [[0, 1, -1], [3, -1, 0]]


def test_classes_are_sampled_where_the_pixels_of_the_grid_are():
    classes = np.arange(12 * 9, dtype=np.uint8).reshape(12, 9)
    np.testing.assert_array_equal(sample_classes(classes, (12, 9)), classes)
    np.testing.assert_array_equal(sample_classes(classes, (4, 3)), classes[::3, ::3])


def test_predicted_classes_are_stored_ones_or_those_of_the_probability(tmp_path):
    probability = np.array([[0.4, 0.5], [0.9, 0.0]], dtype=np.float16)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name in ("two", "four"):
            write_array(file, "probability", name, probability, pixel_size=6.0, full_shape=(2, 2))
        write_array(file, "class", "four", np.array([[3, 2], [1, 0]], np.uint8), pixel_size=6.0, full_shape=(2, 2))
    np.testing.assert_array_equal(predicted_label(tmp_path / "a.h5", "two"), [[0, 1], [1, 0]])
    np.testing.assert_array_equal(predicted_label(tmp_path / "a.h5", "four"), [[3, 2], [1, 0]])
