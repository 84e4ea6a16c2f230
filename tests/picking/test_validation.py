import h5py
import numpy as np
import pandas as pd

from crisp_core.classes import AVOIDED, PARTICLE
from crisp_core.datasets.splits import read_part
from crisp_core.formats.arrays import write_array
from crisp_core.picking.settings import RemovalSettings
from crisp_core.picking.validation import find_validation_maps


def test_maps_labels_and_filters_are_those_of_the_validation_part(tmp_path):
    (tmp_path / "split.tsv").write_text("micrograph\tpart\na\ttrain\nb\tvalidation\nc\tvalidation\n")
    grid = {"pixel_size": 4.0, "full_shape": (16, 16)}
    valid = np.ones((8, 8), bool)
    valid[:, 4:] = False
    with h5py.File(tmp_path / "0.h5", "w") as file:
        for i, name in enumerate("ab"):
            write_array(file, "probability", name, np.full((8, 8), i / 2, np.float16), **grid)
            write_array(file, "image", name, np.zeros((8, 8), np.float32), **grid)
            write_array(file, "valid", name, valid, **grid)
            write_array(file, "label", name, np.full((8, 8), PARTICLE if i else 0, np.int8), **grid)
    path = str(tmp_path / "0.h5")
    maps = find_validation_maps(str(tmp_path / "split.tsv"), [path], [path])
    # c has no map
    assert list(maps.grids) == ["b"]
    ((name, map_b),) = maps.predicted()
    assert name == "b" and (map_b == 0.5).all() and map_b.dtype == np.float32
    ((name, label),) = maps.labels([path])
    assert name == "b" and (label == 1).all()
    # the right half is masked
    found = pd.DataFrame({"x": [2.0, 6.0], "y": [4.0, 4.0], "score": [0.9, 0.8]})
    away = RemovalSettings(**{f"{each.name}_diameters": None for each in AVOIDED})
    kept = maps.filter_of("b", removal=away, diameter_px=4.0, box_px=0)(found)
    np.testing.assert_allclose(kept[["x", "y", "score"]], [[2.0, 4.0, 0.9]])


def test_a_part_is_read_in_the_order_of_its_file(tmp_path):
    path = tmp_path / "split.tsv"
    path.write_text("micrograph\tpart\nNA\ttest\nm2\ttrain\nm1\ttest\n")
    assert read_part(path, "test") == ["NA", "m1"]
    assert read_part(path, "validation") == []
