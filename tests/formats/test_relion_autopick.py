import numpy as np
import pytest
import starfile
from hypothesis import given, settings
from hypothesis import strategies as st

from crisp_core.errors import UserError
from crisp_core.formats.coordinates.table import coordinates_table
from crisp_core.formats.relion_autopick import write_autopick
from crisp_core.formats.star import read_blocks
from crisp_core.formats.stems import micrograph_stem
from tests.formats.tables import PATHS, SAFE, picks


def test_autopick_files_cover_micrographs_without_picks(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").mkdir()
    write_autopick("results/autopick.star", "results/autopick", picks(), PATHS)
    listed = starfile.read("results/autopick.star", always_dict=True)["coordinate_files"]
    assert list(listed["rlnMicrographName"]) == list(PATHS.values())
    assert list(listed["rlnMicrographCoordinates"]) == [f"results/autopick/{stem}_autopick.star" for stem in PATHS]
    first = starfile.read("results/autopick/m1_autopick.star")
    assert first.to_dict("list") == {
        "rlnCoordinateX": [1.25, 4095],
        "rlnCoordinateY": [0.1, 2],
        "rlnAutopickFigureOfMerit": [0.5, -999],
        "rlnClassNumber": [0, 0],
        "rlnAnglePsi": [0, 0],
    }
    assert len(starfile.read("results/autopick/bare_autopick.star")) == 0


def test_picks_of_an_unknown_micrograph_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"micrograph May08_04\.33\.57: its path is unknown; check that"):
        write_autopick(tmp_path / "a.star", tmp_path, picks(), {"m1": "m1.mrc"})


@settings(max_examples=25)
@given(names=st.lists(SAFE, max_size=5, unique=True), n=st.integers(0, 4))
def test_autopick_files_of_any_name_come_back(directory, names, n):
    stems = [micrograph_stem(f"m{name}-1") for name in names]
    table = coordinates_table(np.repeat(stems, n), *np.random.default_rng(n).uniform(0, 99, (2, n * len(stems))))
    write_autopick(directory / "a.star", directory, table, {stem: f"mics/{stem}.mrc" for stem in stems})
    listed = read_blocks(directory / "a.star")["coordinate_files"]
    assert [micrograph_stem(name) for name in listed["rlnMicrographName"]] == stems
    for stem, path in zip(stems, listed["rlnMicrographCoordinates"], strict=True):
        block = read_blocks(path)[""]
        expected = table.loc[table["micrograph"] == stem, ["x", "y"]]
        np.testing.assert_allclose(block[["rlnCoordinateX", "rlnCoordinateY"]], expected, rtol=1e-8)


def test_sizes_and_shapes_are_passed_on(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table = picks().assign(crispDiameterAngstrom=150.5, crispAtEdge=1, rlnAnglePsiPrior=-20.0, expected_precision=0.9)
    write_autopick("autopick.star", "autopick", table, PATHS)
    first = starfile.read("autopick/m1_autopick.star")
    assert first[["crispDiameterAngstrom", "crispAtEdge", "rlnAnglePsiPrior"]].iloc[0].tolist() == [150.5, 1, -20]
    assert "expected_precision" not in first
