import pandas as pd

from crisp_core.datasets.empty_micrographs import add_empty_micrographs

NAMES = pd.DataFrame({"path": ["a.star"], "name": ["mic1"], "micrograph": ["mic1"], "n_coordinates": [7]})


def test_micrographs_that_no_file_names_are_empty_where_the_coordinates_are_complete():
    found = add_empty_micrographs(NAMES, ["mic2", "mic1", "mic0"], path="a.star")
    assert dict(zip(found["micrograph"], found["n_coordinates"], strict=True)) == {"mic1": 7, "mic0": 0, "mic2": 0}
    assert set(found["path"]) == {"a.star"}
    pd.testing.assert_frame_equal(add_empty_micrographs(NAMES, ["mic1"], path="a.star"), NAMES)
