import pandas as pd
import pytest

from crisp_core.errors import UserError
from crisp_core.external.micrograph_list import coordinate_file, read_micrograph_list
from crisp_core.formats.star import write_blocks


def write_list(path, names, sizes=(1.5,)):
    optics = pd.DataFrame({"rlnOpticsGroup": range(1, len(sizes) + 1), "rlnMicrographPixelSize": sizes})
    optics["rlnOpticsGroupName"] = [f"g{number}" for number in optics["rlnOpticsGroup"]]
    groups = [1 + i % len(sizes) for i in range(len(names))]
    rows = pd.DataFrame({"rlnMicrographName": names, "rlnOpticsGroup": groups})
    write_blocks(path, {"optics": optics, "micrographs": rows})
    return path


def test_a_list_gives_names_and_their_pixel_size(tmp_path):
    names = ["MotionCorr/job002/raw/m.1.mrc", "Import/job001/m2.mrc"]
    found = read_micrograph_list(write_list(tmp_path / "m.star", names))
    assert found.pixel_size == 1.5 and found.by_stem() == {"m.1": names[0], "m2": names[1]}
    write_blocks(tmp_path / "old.star", {"": pd.DataFrame({"rlnMicrographName": ["m.mrc"]})})
    assert read_micrograph_list(tmp_path / "old.star") == (["m.mrc"], None)


@pytest.mark.parametrize(
    ("names", "sizes", "message"),
    [
        (["Import/job001/m.tif"], [1.5], r"m\.star: Import/job001/m\.tif is not an MRC file"),
        (["x/a.mrc", "b.mrc", "y/a.mrc"], [1.5], "x/a.mrc and y/a.mrc have the same name without folders"),
        (["a.mrc", "b.mrc"], [1.5, 2], r"m\.star: has micrographs of 1\.5 and of 2 Å/px"),
    ],
)
def test_micrographs_that_relion_would_not_find_are_refused(tmp_path, names, sizes, message):
    with pytest.raises(UserError, match=message):
        read_micrograph_list(write_list(tmp_path / "m.star", names, sizes))


def test_a_file_without_micrographs_is_refused(tmp_path):
    write_blocks(tmp_path / "p.star", {"particles": pd.DataFrame({"rlnCoordinateX": [1.0]})})
    with pytest.raises(UserError, match="lists no micrographs"):
        read_micrograph_list(tmp_path / "p.star")


@pytest.mark.parametrize(
    ("name", "inner"),
    [
        ("MotionCorr/job002/raw/m.1.mrc", "raw/m.1"),
        ("Import/job1234/m.mrc", "m"),
        ("raw/m.mrc", "raw/m"),
        ("/data/raw/m.mrc", "data/raw/m"),
        # the first folder of a job counts
        ("MotionCorr/job002/Import/job001/m.mrc", "Import/job001/m"),
        ("myjob001/m.mrc", "myjob001/m"),
    ],
)
def test_coordinates_are_where_relion_looks_for_them(name, inner):
    assert coordinate_file("External/job009/", name, "_autopick.star") == f"External/job009/{inner}_autopick.star"


def test_a_micrograph_outside_of_the_project_is_refused(tmp_path):
    (tmp_path / "m.star").write_text("data_micrographs\n\nloop_\n_rlnMicrographName #1\n../m.mrc\n")
    with pytest.raises(UserError, match=r"m\.star: \.\./m\.mrc is outside of the project"):
        read_micrograph_list(tmp_path / "m.star")
