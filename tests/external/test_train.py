"""Coordinates of manual picking as a config, without a training."""

from pathlib import Path

import pandas as pd
import pytest

from crisp_core.datasets.batches import Place, read_places, write_places
from crisp_core.errors import UserError
from crisp_core.external.train import coordinates_of, forget_parts, parser, picked_file, run_config
from crisp_core.formats.relion_autopick import write_autopick
from crisp_core.formats.star import write_blocks
from crisp_core.settings.checks import check_settings

NAMES = [f"MotionCorr/job002/raw/m{i}.mrc" for i in range(5)]


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Project in which m0 to m3 were picked by hand in RELION 3.1; m3 has no particle."""
    monkeypatch.chdir(tmp_path)
    for name in NAMES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    rows = pd.DataFrame({"rlnMicrographName": NAMES, "rlnOpticsGroup": 1})
    optics = pd.DataFrame({"rlnOpticsGroup": [1], "rlnOpticsGroupName": ["g"], "rlnMicrographPixelSize": [1.5]})
    write_blocks(tmp_path / "ctf.star", {"optics": optics, "micrographs": rows})
    folder = tmp_path / "ManualPick/job004/raw"
    folder.mkdir(parents=True)
    (folder / "../coords_suffix_manualpick.star").write_text("ctf.star \n")
    for i in range(4):
        xy = pd.DataFrame({"rlnCoordinateX": [100.0] * (i < 3), "rlnCoordinateY": [50.0] * (i < 3)})
        write_blocks(folder / f"m{i}_manualpick.star", {"": xy})
    return tmp_path


def given(*words):
    return parser().parse_args(["--o", "External/job005", "--in_coords", *words])


@pytest.mark.parametrize("coords", ["ManualPick/job004", "ManualPick/job004/coords_suffix_manualpick.star"])
def test_the_job_of_relion_31_names_everything(project, coords):
    options = given(coords, "--diameter", "150")
    micrographs, files = coordinates_of(picked_file(options.in_coords), options.in_mics)
    settings = check_settings(run_config(options, micrographs, files))
    dataset = settings.datasets["micrographs"]
    assert dataset.micrographs == [str(project / name) for name in NAMES[:3]]
    assert [path.rsplit("/", 1)[1] for path in dataset.coordinates.files] == [f"m{i}_manualpick.star" for i in range(3)]
    assert (dataset.split.train, dataset.split.validation, dataset.pixel_size) == (2, 1, 1.5)


def test_the_list_of_relion_4_needs_the_micrographs(project):
    table = pd.DataFrame({"micrograph": ["m1", "m2"], "x": [9.0, 9], "y": [9.0, 9], "score": 1.0})
    write_autopick("ManualPick/manualpick.star", "ManualPick/raw", table, {f"m{i}": NAMES[i] for i in (1, 2)})
    with pytest.raises(UserError, match="--in_mics: is missing"):
        coordinates_of(picked_file("ManualPick"), None)
    micrographs, files = coordinates_of(picked_file("ManualPick"), "ctf.star")
    assert files == {"m1": "ManualPick/raw/m1_autopick.star", "m2": "ManualPick/raw/m2_autopick.star"}
    assert micrographs.names == NAMES


def test_equal_names_decide_where_two_folders_have_a_micrograph_of_the_same_name(project):
    names = ["grid2/a.mrc", "grid1/a.mrc"]
    files = [f"ManualPick/{name.replace('.mrc', '_manualpick.star')}" for name in names]
    for path in files:
        Path(path).parent.mkdir(parents=True)
        write_blocks(path, {"": pd.DataFrame({"rlnCoordinateX": [9.0], "rlnCoordinateY": [9.0]})})
    listed = pd.DataFrame({"rlnMicrographName": names, "rlnMicrographCoordinates": files})
    write_blocks("ManualPick/manualpick.star", {"coordinate_files": listed})
    write_blocks("grid.star", {"micrographs": pd.DataFrame({"rlnMicrographName": ["grid1/a.mrc"]})})
    _, found = coordinates_of(picked_file("ManualPick"), "grid.star")
    assert found == {"a": files[1]}
    # a was picked on the other grid alone
    listed = pd.DataFrame({"rlnMicrographName": ["grid2/a.mrc", "grid1/b.mrc"], "rlnMicrographCoordinates": files})
    write_blocks("ManualPick/manualpick.star", {"coordinate_files": listed})
    write_blocks("grid.star", {"micrographs": pd.DataFrame({"rlnMicrographName": ["grid1/a.mrc", "grid1/b.mrc"]})})
    assert coordinates_of(picked_file("ManualPick"), "grid.star")[1] == {"b": files[1]}


def test_too_few_micrographs_are_refused(project):
    options = given("ManualPick/job004", "--diameter", "150", "--validation", "3")
    micrographs, files = coordinates_of(picked_file(options.in_coords), None)
    with pytest.raises(UserError, match="3 micrographs have coordinates, but the training needs more than 3"):
        run_config(options, micrographs, files)


def test_other_files_are_refused(project):
    with pytest.raises(UserError, match=r"ctf\.star is not a list of coordinate files"):
        coordinates_of(picked_file("ctf.star"), None)
    with pytest.raises(UserError, match=r"MotionCorr/job002 has no coords_suffix\*\.star and no list"):
        picked_file("MotionCorr/job002")


def test_a_continued_job_draws_its_parts_anew_for_more_coordinates_alone(tmp_path, capsys):
    results = tmp_path / "results/micrographs"
    drawn, batches = results / "split/drawn.tsv", results / "batches.tsv"
    forget_parts(tmp_path, {"m0"})
    drawn.parent.mkdir(parents=True)
    drawn.touch()
    write_places(batches, {"m0": Place(0, 0), "m1": Place(0, 0)})
    forget_parts(tmp_path, {"m0"})
    forget_parts(tmp_path, {"m0", "m1"})
    assert drawn.exists() and not capsys.readouterr().out
    # m2 is the addition of a call that failed
    write_places(batches, {**read_places(batches), "m2": Place(1, 1)})
    forget_parts(tmp_path, {"m0", "m1", "m2"})
    assert not drawn.exists() and not batches.exists()
    assert "the parts are drawn anew" in capsys.readouterr().out
