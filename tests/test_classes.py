import h5py
import numpy as np
import pytest

from crisp_core.classes import BACKGROUND, CLASSES, REGISTRY, channel, class_of_element, file_label, network_label
from crisp_core.errors import UserError
from crisp_core.formats.arrays import read_array, read_window, write_array

LABEL = np.array([[0, 1, 2, 3]], dtype=np.uint8)


def test_a_network_may_have_other_classes_in_another_order():
    classes = ["background", "carbon", "particle"]
    np.testing.assert_array_equal(network_label(LABEL, classes), [[0, 2, 0, 1]])
    np.testing.assert_array_equal(file_label(np.array([[0, 1, 2]]), classes), [[0, 3, 1]])
    assert channel(classes, "particle") == 2


def test_all_classes_come_back():
    np.testing.assert_array_equal(file_label(network_label(LABEL, CLASSES), CLASSES), LABEL)


def test_a_file_with_another_list_of_classes_is_read_by_name(tmp_path):
    path = tmp_path / "labels.h5"
    with h5py.File(path, "w") as file:
        write_array(file, "label", "mic", LABEL, pixel_size=1.0, full_shape=(1, 4))
        file["label/mic"].attrs["classes"] = ["background", "carbon", "particle", "contaminant"]
    np.testing.assert_array_equal(read_array(path, "label", "mic").data, [[0, 3, 1, 2]])
    with h5py.File(path) as file:
        np.testing.assert_array_equal(read_window(file, "label", "mic", slice(0, 1), slice(1, 3)), [[3, 1]])


def test_a_class_that_is_not_known_is_refused(tmp_path):
    path = tmp_path / "labels.h5"
    with h5py.File(path, "w") as file:
        write_array(file, "label", "mic", LABEL, pixel_size=1.0, full_shape=(1, 4))
        file["label/mic"].attrs["classes"] = ["background", "particle", "membrane", "carbon"]
    with pytest.raises(UserError, match=r"labels\.h5: classes membrane are unknown"):
        read_array(path, "label", "mic")


def test_the_number_of_a_class_is_its_place():
    assert [each.number for each in REGISTRY] == list(range(len(REGISTRY)))
    assert len(set(CLASSES)) == len({each.color for each in REGISTRY}) == len(REGISTRY)


def test_an_element_of_the_scenery_has_one_class():
    elements = [element for each in REGISTRY for element in each.elements]
    assert len(elements) == len(set(elements))
    assert [CLASSES[class_of_element(name)] for name in ("ice", "carbon")] == ["contaminant", "carbon"]
    assert class_of_element("neighbours") == BACKGROUND
