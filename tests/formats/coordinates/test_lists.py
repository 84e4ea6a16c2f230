import pytest

from crisp_core.errors import UserError
from crisp_core.formats.coordinates.registry import names_micrographs, read_coordinates
from crisp_core.formats.relion_autopick import is_coordinate_list, listed_files
from tests.formats.coordinates.tables import blocks


def coordinate_list(folder, files):
    """RELION's list in a job's folder, with the paths of its files counted from the project."""
    job = folder / "AutoPick/job007"
    job.mkdir(parents=True)
    for file, rows in files.values():
        if rows is not None:
            (folder / file).write_text(blocks(**{"": rows}))
    lines = "".join(f"MotionCorr/{name}.mrc {file}\n" for name, (file, _) in files.items())
    labels = "_rlnMicrographName #1\n_rlnMicrographCoordinates #2\n"
    (job / "autopick.star").write_text(f"# version 30001\n\ndata_coordinate_files\n\nloop_\n{labels}{lines}\n")
    return job / "autopick.star"


def test_relions_list_of_coordinate_files_is_followed(tmp_path):
    files = {"m1": ("AutoPick/job007/other.star", "1 2\n3 4"), "m2": ("AutoPick/job007/m2_autopick.star", "5 6")}
    path = coordinate_list(tmp_path, files)
    back = read_coordinates(path)
    # the list says which micrograph, and not the file's name
    assert list(back["micrograph"]) == ["m1", "m1", "m2"] and list(back["x"]) == [1, 3, 5]
    assert list(listed_files(path).values()) == ["m1", "m2"] and names_micrographs(path)
    assert not is_coordinate_list(tmp_path / "AutoPick/job007/other.star")


def test_a_list_of_lists_or_of_one_file_twice_is_refused(tmp_path):
    path = coordinate_list(tmp_path, {"m1": ("AutoPick/job007/autopick.star", None)})
    with pytest.raises(UserError, match=r"autopick\.star: names the list .*; name files of coordinates in it"):
        read_coordinates(path)
    once = path.read_text().replace("job007/autopick", "job007/m").rstrip()
    path.write_text(f"{once}\nm2.mrc AutoPick/job007/m.star\n")
    with pytest.raises(UserError, match=r"names AutoPick/job007/m\.star twice; give each micrograph its own"):
        read_coordinates(path)


def test_a_list_of_another_project_names_the_files_of_that_project(tmp_path, monkeypatch):
    """Job numbers are the same in all projects."""
    for project, row in (("first", "1 2"), ("second", "7 8")):
        (tmp_path / project).mkdir()
        path = coordinate_list(tmp_path / project, {"m1": ("AutoPick/job007/m1.star", row)})
    monkeypatch.chdir(path.parents[2])
    assert list(read_coordinates(tmp_path / "first/AutoPick/job007/autopick.star")["x"]) == [1]
    assert list(read_coordinates("AutoPick/job007/autopick.star")["x"]) == [7]
