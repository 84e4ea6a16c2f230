"""Selected micrographs: rows leave the user's STAR file, and nothing else of it changes."""

import pytest
import starfile

from crisp_core.errors import UserError
from crisp_core.formats.relion_selection import write_selected_micrographs
from tests.reconstruction.test_relion import relion

OPTICS = """# version 30001

data_optics

loop_
_rlnOpticsGroupName #1
_rlnOpticsGroup #2
_rlnMicrographOriginalPixelSize #3
_rlnVoltage #4
_rlnSphericalAberration #5
_rlnAmplitudeContrast #6
_rlnMicrographPixelSize #7
opticsGroup1            1     1.0540   300.000000     2.700000     0.100000     1.0540
"""
# RELION ends a table with a blank
OPTICS += " \n\n\n"
MICROGRAPHS = """# version 30001

data_micrographs

loop_
_rlnMicrographName #1
_rlnOpticsGroup #2
_rlnCtfImage #3
_rlnDefocusU #4
_rlnCtfAstigmatism #5
_rlnDefocusV #6
_rlnDefocusAngle #7
_rlnCtfFigureOfMerit #8
_rlnCtfMaxResolution #9
"""
STEMS = ["a.1", "b", "c"]
FIT = "10786.679688 77.926682     0.131144     4.809192 \n"
ROWS = [
    f"MotionCorr/job002/Movies/{stem}.mrc            1 CtfFind/job003/{stem}.ctf:mrc {u}    100.50 {FIT}"
    for stem, u in zip(STEMS, ("10863.857422", "1e4", "09200"), strict=True)
]
TAIL = "\n# a last word\n"


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "micrographs_ctf.star"
    path.write_text(OPTICS + MICROGRAPHS + "".join(ROWS) + TAIL)
    return path


@pytest.mark.parametrize("names", [["a.1", "c"], ["a.1", "b", "c"], [], ["b", "unknown"]])
def test_rows_of_other_micrographs_leave_and_nothing_else_changes(source, tmp_path, names):
    counts = write_selected_micrographs(tmp_path / "selected.star", source, STEMS, names)
    kept = [row for row, stem in zip(ROWS, STEMS, strict=True) if stem in names]
    assert (tmp_path / "selected.star").read_text() == OPTICS + MICROGRAPHS + "".join(kept) + TAIL
    assert counts == (3, len(kept))


def test_names_match_as_those_of_the_ctf_do(source, tmp_path):
    # cryoSPARC's names of the same micrographs
    stems = [f"{i:021d}_{stem}" for i, stem in enumerate(STEMS)]
    assert write_selected_micrographs(tmp_path / "selected.star", source, stems, stems[1:]) == (3, 2)
    assert (tmp_path / "selected.star").read_text() == OPTICS + MICROGRAPHS + "".join(ROWS[1:]) + TAIL


def test_line_ends_and_a_file_of_relion_3_0_stay(tmp_path):
    path = tmp_path / "old.star"
    path.write_bytes(
        ("data_\n" + MICROGRAPHS.partition("data_micrographs\n")[2] + "".join(ROWS)).replace("\n", "\r\n").encode()
    )
    write_selected_micrographs(tmp_path / "selected.star", path, STEMS, ["b"])
    gone = (ROWS[0] + ROWS[2]).replace("\n", "\r\n").encode()
    assert len((tmp_path / "selected.star").read_bytes()) == len(path.read_bytes()) - len(gone)
    assert len(starfile.read(tmp_path / "selected.star")) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (OPTICS, "has no column rlnMicrographName"),
        ("data_micrographs\n\n_rlnMicrographName a.mrc\n_rlnDefocusU 1\n", "does not have one line per micrograph"),
    ],
)
def test_a_file_that_cannot_be_cut_is_refused(tmp_path, content, message):
    (tmp_path / "x.star").write_text(content)
    with pytest.raises(UserError, match=message):
        write_selected_micrographs(tmp_path / "selected.star", tmp_path / "x.star", STEMS, [])


def test_relion_reads_the_selection(source, tmp_path):
    write_selected_micrographs(tmp_path / "selected.star", source, STEMS, ["a.1", "c"])
    relion("relion_star_handler", "--i", "selected.star", "--o", "again.star", "--combine", cwd=tmp_path)
    again, ours = (starfile.read(tmp_path / name) for name in ("again.star", "selected.star"))
    assert again["micrographs"]["rlnMicrographName"].tolist() == ours["micrographs"]["rlnMicrographName"].tolist()
    assert again["micrographs"]["rlnDefocusU"].tolist() == [10863.857422, 9200]
    assert set(again["optics"]) == set(ours["optics"])
