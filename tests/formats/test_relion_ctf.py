import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crisp_core.errors import UserError
from crisp_core.formats.relion_ctf import (
    MicrographsCtf,
    read_ctf_quality,
    read_ctf_sources,
    read_micrographs_ctf,
    write_micrographs_ctf,
)
from crisp_core.formats.relion_groups import used_groups
from crisp_core.formats.relion_labels import CTF_LABELS, PHASE_COLUMN
from crisp_core.formats.stems import micrograph_stem
from tests.formats.tables import SAFE

CTF_STAR = "rlnMicrographName rlnDefocusU rlnDefocusV rlnDefocusAngle rlnPhaseShift rlnOpticsGroup"


ONE_GROUP = ("rlnOpticsGroupName rlnOpticsGroup", "opticsGroup1 1")


def loop(name, labels, rows):
    header = "\n".join(f"_{label} #{i}" for i, label in enumerate(labels.split(), start=1))
    return f"# version 30001\n\ndata_{name}\n\nloop_\n{header}\n" + "\n".join(rows) + "\n\n"


def ctf_star(path, rows, labels=CTF_STAR, groups=ONE_GROUP):
    path.write_text(f"\n{loop('optics', groups[0], groups[1:])}\n{loop('micrographs', labels, rows)}")
    return path


def test_micrographs_ctf_reads(tmp_path):
    rows = [f"MotionCorr/job002/{stem}.mrc {u} 15000 -12.5 0 1" for stem, u in (("m1", 16000.5), ("m.2", 17000))]
    table, groups = read_micrographs_ctf(ctf_star(tmp_path / "ctf.star", rows))
    assert table.to_dict("list") == {
        "micrograph": ["m1", "m.2"],
        "defocus_u_angstrom": [16000.5, 17000],
        "defocus_v_angstrom": [15000, 15000],
        "defocus_angle_deg": [-12.5, -12.5],
        "phase_shift_deg": [0, 0],
        "optics_group": [1, 1],
    }
    assert groups.to_dict("list") == {"rlnOpticsGroupName": ["opticsGroup1"], "rlnOpticsGroup": [1]}


def test_optics_groups_of_micrographs_are_numbered_anew(tmp_path):
    """Group 9 has no micrograph; the others keep their order, names and microscope."""
    labels = "rlnAmplitudeContrast rlnVoltage rlnOpticsGroupName rlnOpticsGroup"
    groups = (labels, "0.07 200 monday 9", "0.08 300 tuesday 4", "0.1 120 βeta 2")
    rows = [f"{stem}.mrc 1 2 3 0 {group}" for stem, group in (("a", 2), ("b", 4), ("c", 2))]
    table, found = read_micrographs_ctf(ctf_star(tmp_path / "ctf.star", rows, groups=groups))
    assert table["optics_group"].tolist() == [2, 1, 2]
    assert found.to_dict("list") == {
        "rlnOpticsGroupName": ["tuesday", "βeta"],
        "rlnOpticsGroup": [1, 2],
        "rlnVoltage": [300, 120],
        "rlnAmplitudeContrast": [0.08, 0.1],
    }


def test_micrographs_of_relion_30_group_by_their_microscope(tmp_path):
    labels = "rlnMicrographName rlnDefocusU rlnDefocusV rlnDefocusAngle rlnVoltage rlnSphericalAberration"
    rows = ["a.mrc 1 2 3 300 2.7", "b.mrc 1 2 3 200 2.7", "c.mrc 1 2 3 300 2.7"]
    (tmp_path / "ctf.star").write_text(loop("", labels, rows))
    table, groups = read_micrographs_ctf(tmp_path / "ctf.star")
    assert table["optics_group"].tolist() == [1, 2, 1]
    assert groups.to_dict("list") == {
        "rlnOpticsGroupName": ["opticsGroup1", "opticsGroup2"],
        "rlnOpticsGroup": [1, 2],
        "rlnVoltage": [300, 200],
        "rlnSphericalAberration": [2.7, 2.7],
    }


def test_a_ctf_that_is_no_number_costs_its_micrograph_alone(tmp_path):
    labels = "rlnMicrographName rlnDefocusU rlnDefocusV rlnDefocusAngle"
    rows = ["a.mrc 12000 11000 3", "b.mrc nan -nan 3", "c.mrc inf x2 3", "d.mrc 9000 8000 7"]
    table, _ = read_micrographs_ctf(ctf_star(tmp_path / "ctf.star", rows, labels))
    np.testing.assert_equal(table["defocus_u_angstrom"].to_numpy(), [12000, np.nan, np.nan, 9000])
    np.testing.assert_equal(table["defocus_v_angstrom"].to_numpy(), [11000, np.nan, np.nan, 8000])


def test_the_files_and_pixel_sizes_of_a_ctf(tmp_path):
    rows = [f"jobs/{stem}.tif 1 2 3 0 {group}" for stem, group in (("a", 2), ("b", 1), ("c", 2))]
    groups = ("rlnOpticsGroup rlnMicrographOriginalPixelSize rlnMicrographPixelSize", "1 0.5 1.06", "2 0.5 0")
    found = read_ctf_sources(ctf_star(tmp_path / "ctf.star", rows, groups=groups))
    assert found["file"].tolist() == ["jobs/a.tif", "jobs/b.tif", "jobs/c.tif"]
    assert found["micrograph"].tolist() == ["a", "b", "c"]
    np.testing.assert_equal(found["pixel_size"].to_numpy(), [np.nan, 1.06, np.nan])
    # RELION 3.0: detector in micrometres, magnification
    (tmp_path / "old.star").write_text(
        loop("", "rlnMicrographName rlnMagnification rlnDetectorPixelSize", ["a.mrc 10000 5", "b.mrc 0 5"])
    )
    np.testing.assert_equal(read_ctf_sources(tmp_path / "old.star")["pixel_size"].to_numpy(), [5, np.nan])
    (tmp_path / "none.star").write_text(loop("", "rlnMicrographName", ["a.mrc"]))
    assert read_ctf_sources(tmp_path / "none.star")["pixel_size"].isna().all()


ANGSTROM = st.floats(-1e5, 1e5, width=32)


@settings(max_examples=30)
@given(
    names=st.lists(SAFE, max_size=6, unique=True),
    lenses=st.lists(st.tuples(ANGSTROM, ANGSTROM, ANGSTROM, ANGSTROM), min_size=6, max_size=6),
    group_of=st.lists(st.integers(1, 3), min_size=6, max_size=6),
    with_phase=st.booleans(),
)
def test_any_ctf_comes_back(directory, names, lenses, group_of, with_phase):
    """Unicode names, several optics groups, no micrograph at all; numbers of 32 bits to the last."""
    stems = [micrograph_stem(f"m{name}-1") for name in names]
    columns = [*CTF_LABELS.values(), PHASE_COLUMN][: 3 + with_phase]
    table = pd.DataFrame([lens[: 3 + with_phase] for lens in lenses[: len(stems)]], columns=columns, dtype=float)
    table.insert(0, "micrograph", pd.Series(stems, dtype="str"))
    groups = pd.DataFrame({"rlnOpticsGroupName": ["a", "b", "c"], "rlnOpticsGroup": [1, 2, 3], "rlnVoltage": 300.0})
    groups, numbers = used_groups(groups, pd.Series(group_of[: len(stems)], dtype=int))
    written = MicrographsCtf(table.assign(optics_group=numbers), groups)
    paths = {stem: f"mics/{stem}.mrc" for stem in stems}
    write_micrographs_ctf(directory / "ctf.star", written, paths, pixel_size=1.77)
    back = read_micrographs_ctf(directory / "ctf.star")
    pd.testing.assert_frame_equal(back.micrographs, written.micrographs, check_dtype=False, rtol=1e-8)
    pd.testing.assert_frame_equal(back.groups, written.groups, check_dtype=False)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (("rlnOpticsGroup", "2"), "a row has the optics group 1, which data_optics lacks; add it"),
        (("rlnOpticsGroup", "1", "1"), "data_optics has the optics group 1 twice; remove one"),
        (("rlnOpticsGroup rlnVoltage", "1 high"), "line 9: rlnVoltage is 'high', which is not a number"),
        (
            ("rlnOpticsGroup rlnOpticsGroupName", "1 a", "2 a"),
            "two optics groups have the same rlnOpticsGroupName",
        ),
        (("rlnOpticsGroup rlnOpticsGroupName", "1 'a b'"), "a STAR file cannot hold the name 'a b'; rename it"),
    ],
)
def test_bad_optics_groups_are_refused(tmp_path, groups, message):
    path = ctf_star(tmp_path / "ctf.star", ["m.mrc 1 2 3 0 1"], groups=groups)
    with pytest.raises(UserError, match=rf"ctf\.star: {message}"):
        read_micrographs_ctf(path)


@pytest.mark.parametrize(
    ("rows", "labels", "message"),
    [
        (["m.mrc 1 2"], "rlnMicrographName rlnDefocusU rlnDefocusV", "has no column rlnDefocusAngle; export it"),
        (["1 2 3"], "rlnDefocusU rlnDefocusV rlnDefocusAngle", "has no column rlnMicrographName; give the star file"),
        (
            ["a.mrc 1 2 3", "a.mrc 1 2 3"],
            None,
            "has two lines for micrograph a; give a file with one line",
        ),
        (["a.mrc 1 2 3", "b.mrc 1 2 3 4 5"], None, "line 22 has 6 values and not 4, as its loop has labels"),
    ],
)
def test_bad_ctf_files_are_refused(tmp_path, rows, labels, message):
    path = ctf_star(tmp_path / "ctf.star", rows, labels or "rlnMicrographName rlnDefocusU rlnDefocusV rlnDefocusAngle")
    with pytest.raises(UserError, match=rf"ctf\.star: {message}"):
        read_micrographs_ctf(path)


def test_quality_of_ctf_fits_is_read_where_the_file_has_it(tmp_path):
    labels = "rlnMicrographName rlnDefocusU rlnDefocusV rlnCtfFigureOfMerit rlnCtfMaxResolution"
    rows = ["job/a.mrc 16000 15000 0.13 4.8", "job/b.mrc 15000 16000 nan inf"]
    table = read_ctf_quality(ctf_star(tmp_path / "ctf.star", rows, labels)).set_index("micrograph")
    assert table.loc["a"].to_dict() == {
        "ctf_resolution_angstrom": 4.8,
        "ctf_figure_of_merit": 0.13,
        "defocus_angstrom": 15500,
        "astigmatism_angstrom": 1000,
    }
    assert table.loc["b"].dropna().to_dict() == {"defocus_angstrom": 15500, "astigmatism_angstrom": 1000}
    without = read_ctf_quality(ctf_star(tmp_path / "ctf.star", ["job/a.mrc 16000 15000 0 0 1"]))
    assert without["ctf_resolution_angstrom"].isna().all()


def test_the_only_optics_group_holds_for_micrographs_that_name_none(tmp_path):
    labels, row = CTF_STAR.removesuffix(" rlnOpticsGroup"), "m1.mrc 16000 15000 10 0"
    group = ("rlnOpticsGroupName rlnOpticsGroup rlnVoltage rlnMicrographPixelSize", "g 3 200 0.9")
    path = ctf_star(tmp_path / "ctf.star", [row], labels, group)
    assert read_micrographs_ctf(path).groups["rlnVoltage"].tolist() == [200]
    assert read_ctf_sources(path)["pixel_size"].tolist() == [0.9]
    two = ctf_star(tmp_path / "two.star", [row], labels, (*group, "h 4 300 0.9"))
    with pytest.raises(
        UserError, match=r"two\.star: data_optics has 2 groups, but the other table has no rlnOpticsGroup"
    ):
        read_micrographs_ctf(two)
