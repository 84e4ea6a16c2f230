import numpy as np
import pandas as pd
import pytest

from crisp_core.errors import UserError
from crisp_core.formats.coordinates.table import COLUMNS
from crisp_core.formats.relion_coordinates import read_coordinates_star, write_coordinates_star
from crisp_core.formats.relion_optics import optics_table
from crisp_core.formats.relion_particles import particles_table, write_particles_star
from crisp_core.formats.star import read_blocks
from tests.formats.tables import OPTICS, picks


def test_coordinates_come_back(tmp_path):
    table = picks(area_px=[10, 20, 30], note=pd.Series(["a", "b", "c"], dtype="str"))
    write_coordinates_star(tmp_path / "picks.star", table)
    pd.testing.assert_frame_equal(read_coordinates_star(tmp_path / "picks.star"), table)


def test_empty_coordinates_come_back(tmp_path):
    write_coordinates_star(tmp_path / "picks.star", picks().iloc[:0])
    back = read_coordinates_star(tmp_path / "picks.star")
    assert list(back.columns) == list(COLUMNS) and len(back) == 0
    assert back.dtypes.to_dict() == picks().dtypes.to_dict()


def test_float32_scores_come_back_exactly(tmp_path):
    scores = np.random.default_rng(0).random(200, dtype=np.float32) ** 8
    table = pd.DataFrame({"micrograph": "m", "x": 1.0, "y": 2.0, "score": scores})
    write_coordinates_star(tmp_path / "picks.star", table)
    back = read_coordinates_star(tmp_path / "picks.star")
    np.testing.assert_array_equal(back["score"].astype(np.float32), scores)


def test_bytes_have_no_time_stamp_and_lf_ends(tmp_path):
    write_coordinates_star(tmp_path / "picks.star", picks())
    assert (tmp_path / "picks.star").read_bytes().decode() == (
        "# version 30001\n\ndata_particles\n\nloop_\n"
        "_rlnCoordinateX #1\n_rlnCoordinateY #2\n_rlnMicrographName #3\n_rlnAutopickFigureOfMerit #4\n"
        "1.25\t0.1\tm1\t0.5\n4095\t2\tm1\t-999\n7\t3.5\tMay08_04.33.57\t-3\n\n"
    )


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("my micrograph.mrc", "a STAR file cannot hold the name 'my micrograph.mrc'; rename it without blanks"),
        ("a'b", "cannot hold the name"),
        ("a#b", "cannot hold the name"),
        ("", "cannot hold the name ''"),
        ("a\x07b", "cannot hold the name"),
        ("a\u2028b", "cannot hold the name"),
        ("<NA>", "the name '<NA>' is read as a missing value in a table; rename it"),
        ("nan", "the name 'nan' is read as a missing value in a table; rename it"),
        ("../raw/m.mrc", r"RELION does not follow '\.\.' in '\.\./raw/m.mrc'; link the files"),
    ],
)
def test_names_that_relion_cannot_read_are_refused(tmp_path, name, reason):
    with pytest.raises(UserError, match=reason):
        write_coordinates_star(tmp_path / "picks.star", picks(micrograph=[name] * 3))
    particles = particles_table(picks().iloc[:1], stack="p.mrcs", micrograph_paths={"m1": name})
    with pytest.raises(UserError, match=reason):
        write_particles_star(tmp_path / "p.star", optics_table(**OPTICS), particles)


def test_missing_star_file_and_block(tmp_path):
    with pytest.raises(UserError, match=r"absent\.star: no such file; check the path"):
        read_blocks(tmp_path / "absent.star")
    (tmp_path / "other.star").write_text("data_optics\n\nloop_\n_rlnOpticsGroup #1\n1\n")
    with pytest.raises(UserError, match=r"other\.star: has no block data_particles; delete it"):
        read_coordinates_star(tmp_path / "other.star")
