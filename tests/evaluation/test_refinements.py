import re

import numpy as np
import pandas as pd
import pytest

from crisp_core.errors import UserError
from crisp_core.evaluation import particle_sets as sets
from crisp_core.evaluation import refinements
from crisp_core.evaluation.refinements import join_sets
from crisp_core.formats.cs_files import write_cs
from crisp_core.formats.relion_labels import CTF_LABELS
from crisp_core.formats.star import write_blocks
from crisp_core.reconstruction.half_maps import HALF
from tests.evaluation.example_particles import RLN_ANGLES, RLN_ORIGINS, SHAPE, true_particles

PIXEL_SIZE = 2.0


@pytest.fixture(scope="module")
def truth():
    return pd.concat([true_particles("m1", seed=1), true_particles("m2", seed=2)], ignore_index=True)


def refined_star(path, truth, **columns):
    table = truth.rename(columns={"x": "rlnCoordinateX", "y": "rlnCoordinateY"}).drop(columns="score")
    table["rlnMicrographName"] = "somewhere/" + table.pop("micrograph") + ".mrc"
    table[RLN_ORIGINS] = [[3.0, -1.5]] * len(table)
    write_blocks(path, {"particles": table.assign(**columns)})


def test_a_refinement_brings_its_poses_ctf_and_halves(tmp_path, truth):
    halves = np.arange(len(truth)) % 2 + 1
    refined_star(tmp_path / "run_data.star", truth, **{HALF: halves})
    table = refinements.refined_particles(tmp_path / "run_data.star", ["m2", "m3"])
    own = truth[truth["micrograph"] == "m2"]
    assert set(table["micrograph"]) == {"m2"}
    np.testing.assert_array_equal(table[["x", "y"]], np.trunc(own[["x", "y"]]))
    np.testing.assert_allclose(table[[*RLN_ANGLES, *CTF_LABELS]], own[[*RLN_ANGLES, *CTF_LABELS]], rtol=1e-8)
    np.testing.assert_array_equal(table[RLN_ORIGINS], [[3.0, -1.5]] * len(own))
    joined = join_sets({"ours": table})
    made = sets.particle_sets(joined, ["ours"], false_shares={}, n_particles=20, seed=1)["ours"]
    np.testing.assert_array_equal(made[HALF], table.reset_index(drop=True).loc[made.index, HALF])


def test_particles_of_two_grids_on_one_micrograph_are_refused(tmp_path, truth):
    refined_star(tmp_path / "run_data.star", truth.assign(micrograph=["grid1/m1", "grid2/m1"] * (len(truth) // 2)))
    with pytest.raises(UserError, match=r"run_data\.star: \S+/grid1/m1\.mrc and \S+/grid2/m1\.mrc both match"):
        refinements.refined_particles(tmp_path / "run_data.star", ["m1"])


def test_particles_of_two_grids_on_one_micrograph_are_left_out_and_the_others_stay(tmp_path, truth, caplog):
    first = truth["micrograph"] == "m1"
    grids = np.where(np.arange(len(truth)) % 2, "grid1/m1", "grid2/m1")
    refined_star(tmp_path / "run_data.star", truth.assign(micrograph=truth["micrograph"].mask(first, pd.Series(grids))))
    table = refinements.refined_particles(tmp_path / "run_data.star", ["m1", "m2"])
    assert set(table["micrograph"]) == {"m2"} and len(table) == (~first).sum()
    assert "remove the rows of one; until then, both are left out" in caplog.text


def test_sets_without_halves_get_random_ones_beside_sets_that_have_some(tmp_path, truth):
    halves = np.arange(len(truth)) % 3 // 2 + 1
    refined_star(tmp_path / "with.star", truth, **{HALF: halves})
    refined_star(tmp_path / "without.star", truth)
    tables = {
        name: refinements.refined_particles(tmp_path / f"{name}.star", ["m1", "m2"]) for name in ("with", "without")
    }
    made = sets.particle_sets(join_sets(tables), tables, false_shares={}, n_particles=None, seed=1)
    assert made["with"][HALF].value_counts().to_dict() == {1: 40, 2: 20}
    assert made["without"][HALF].value_counts().to_dict() == {1: 30, 2: 30}


def test_a_set_without_ctf_is_not_compared_with_one_that_has_it(tmp_path, truth):
    refined_star(tmp_path / "with.star", truth)
    refined_star(tmp_path / "without.star", truth.drop(columns=list(CTF_LABELS)))
    tables = {name: refinements.refined_particles(tmp_path / f"{name}.star", ["m1"]) for name in ("with", "without")}
    with pytest.raises(UserError, match=r"^resolution/refined/without: has no defocus, but other sets do; export"):
        join_sets(tables)
    assert not set(CTF_LABELS) & set(join_sets({"without": tables["without"]}))


def test_particles_that_relion_refined_on_tiff_are_refused(tmp_path, truth):
    refined_star(tmp_path / "run_data.star", truth)
    text = (tmp_path / "run_data.star").read_text()
    (tmp_path / "run_data.star").write_text(re.sub(r"m1(\.mrc)?(?=\s)", "m1.tif", text))
    with pytest.raises(
        UserError, match=r"run_data\.star: its particles are on \S*m1\.tif, which RELION reads upside down"
    ):
        refinements.refined_particles(tmp_path / "run_data.star", ["m1", "m2"])


@pytest.mark.parametrize("n_second", [0, 5])
def test_half_sets_that_a_file_has_lost_are_refused(tmp_path, truth, n_second):
    refined_star(tmp_path / "run_data.star", truth, **{HALF: [2] * n_second + [1] * (len(truth) - n_second)})
    with pytest.raises(UserError, match=rf"half set 1 has {60 - n_second} and half set 2 has {n_second} particles"):
        refinements.refined_particles(tmp_path / "run_data.star", ["m1", "m2"])


@pytest.mark.parametrize("side", [4092, 5760, 7676])
def test_whole_pixels_survive_the_single_precision_of_cryosparc(tmp_path, side):
    fields = [("location/micrograph_path", "S40"), ("location/micrograph_shape", "u4", 2)]
    fields += [(f"location/center_{axis}_frac", "f4") for axis in "xy"]
    fields += [("alignments3D/pose", "f4", 3), ("alignments3D/shift", "f4", 2), ("alignments3D/psize_A", "f4")]
    x = np.arange(0, side, 7)
    rows = np.zeros(len(x), dtype=fields)
    rows["location/micrograph_path"], rows["location/micrograph_shape"] = b"J1/m1.mrc", (side, side)
    rows["location/center_x_frac"], rows["location/center_y_frac"] = x / side, 0.5
    rows["alignments3D/psize_A"] = PIXEL_SIZE
    write_cs(tmp_path / "particles.cs", rows)
    np.testing.assert_array_equal(refinements.refined_particles(tmp_path / "particles.cs", ["m1"])["x"], x)


def test_a_cryosparc_file_brings_its_ctf_and_halves(tmp_path):
    fields = [("location/micrograph_path", "S40"), ("location/micrograph_shape", "u4", 2)]
    fields += [(f"location/center_{axis}_frac", "f4") for axis in "xy"]
    fields += [("alignments3D/pose", "f4", 3), ("alignments3D/shift", "f4", 2), ("alignments3D/psize_A", "f4")]
    fields += [("alignments3D/split", "u4"), ("ctf/df1_A", "f4"), ("ctf/df2_A", "f4"), ("ctf/df_angle_rad", "f4")]
    rows = np.zeros(2, dtype=fields)
    rows["location/micrograph_path"], rows["location/micrograph_shape"] = b"J1/m1.mrc", SHAPE
    rows["location/center_x_frac"] = rows["location/center_y_frac"] = 0.5
    rows["alignments3D/split"], rows["alignments3D/psize_A"] = [0, 1], PIXEL_SIZE
    rows["ctf/df1_A"], rows["ctf/df2_A"], rows["ctf/df_angle_rad"] = 15000, 14000, np.pi / 6
    write_cs(tmp_path / "particles.cs", rows)
    table = refinements.refined_particles(tmp_path / "particles.cs", ["m1"])
    assert table[HALF].tolist() == [1, 2]
    np.testing.assert_allclose(table[list(CTF_LABELS)], [[15000, 14000, 30]] * 2, rtol=1e-6)
    np.testing.assert_array_equal(table[["x", "y"]], [[400, 300]] * 2)


MICROSCOPE = {"voltage_kv": 300.0, "spherical_aberration_mm": 2.7, "amplitude_contrast": 0.1}
STATED = {
    "rlnMicrographPixelSize": 2.0,
    "rlnVoltage": 300.0,
    "rlnSphericalAberration": 2.7,
    "rlnAmplitudeContrast": 0.1,
}


def write_optics(path, truth, **changes):
    table = truth.rename(columns={"x": "rlnCoordinateX", "y": "rlnCoordinateY"}).drop(columns="score")
    table["rlnMicrographName"] = table.pop("micrograph") + ".mrc"
    optics = pd.DataFrame({"rlnOpticsGroupName": ["g"], "rlnOpticsGroup": [1], **STATED, **changes})
    write_blocks(path, {"optics": optics, "particles": table.assign(rlnOpticsGroup=1)})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"rlnMicrographPixelSize": 1.0},
            "rlnMicrographPixelSize states 1 Å/px, the dataset's pixel_size is 2; refine",
        ),
        ({"rlnVoltage": 200.0}, "rlnVoltage is 200, the dataset's voltage_kv is 300; correct"),
        ({"rlnAmplitudeContrast": 0.07}, "rlnAmplitudeContrast is 0.07, the dataset's amplitude_contrast is 0.1"),
    ],
)
def test_a_refinement_with_other_optics_is_refused(tmp_path, truth, change, message):
    write_optics(tmp_path / "run_data.star", truth)
    refinements.check_optics(tmp_path / "run_data.star", ["m1", "m2"], pixel_size=2.0, microscope=MICROSCOPE)
    write_optics(tmp_path / "run_data.star", truth, **change)
    with pytest.raises(UserError, match=rf"run_data\.star: its {message}"):
        refinements.check_optics(tmp_path / "run_data.star", ["m1", "m2"], pixel_size=2.0, microscope=MICROSCOPE)


def test_the_pixel_size_of_movies_alone_is_no_contradiction(tmp_path, truth, caplog):
    write_optics(tmp_path / "run_data.star", truth)
    text = (tmp_path / "run_data.star").read_text()
    (tmp_path / "run_data.star").write_text(text.replace("rlnMicrographPixelSize", "rlnMicrographOriginalPixelSize"))
    refinements.check_optics(tmp_path / "run_data.star", ["m1", "m2"], pixel_size=4.0, microscope=MICROSCOPE)
    assert "rlnMicrographOriginalPixelSize states 2 Å/px, the dataset's pixel_size is 4; check" in caplog.text


def test_optics_of_a_cryosparc_file_are_compared_and_zeros_are_not(tmp_path):
    fields = [("location/micrograph_path", "S40"), ("location/micrograph_shape", "u4", 2)]
    fields += [(f"location/center_{axis}_frac", "f4") for axis in "xy"]
    fields += [("location/micrograph_psize_A", "f4"), ("ctf/accel_kv", "f4"), ("ctf/cs_mm", "f4")]
    rows = np.zeros(2, dtype=fields)
    rows["location/micrograph_path"], rows["location/micrograph_shape"] = b"J1/m1.mrc", SHAPE
    rows["ctf/accel_kv"], rows["ctf/cs_mm"] = 300, 2.7
    write_cs(tmp_path / "particles.cs", rows)
    refinements.check_optics(tmp_path / "particles.cs", ["m1"], pixel_size=2.0, microscope=MICROSCOPE)
    rows["location/micrograph_psize_A"] = 1.0
    write_cs(tmp_path / "particles.cs", rows)
    with pytest.raises(
        UserError, match=r"its location/micrograph_psize_A states 1 Å/px, the dataset's pixel_size is 2"
    ):
        refinements.check_optics(tmp_path / "particles.cs", ["m1"], pixel_size=2.0, microscope=MICROSCOPE)


def test_particles_outside_of_their_micrographs_are_refused():
    refinements.check_inside(10, 100)
    with pytest.raises(UserError, match=r"resolution/refined: 11 of 100 particles lie outside of their micrographs"):
        refinements.check_inside(11, 100)


def test_particles_on_other_micrographs_may_have_other_optics(tmp_path, truth):
    table = truth.rename(columns={"x": "rlnCoordinateX", "y": "rlnCoordinateY"}).drop(columns="score")
    groups = np.where(table["micrograph"] == "m1", 1, 2)
    table["rlnMicrographName"] = table.pop("micrograph") + ".mrc"
    # names that CRISP would not write, and one twice
    optics = pd.DataFrame({"rlnOpticsGroupName": "Krios", "rlnOpticsGroup": [1, 2], **STATED})
    optics.loc[1, ["rlnMicrographPixelSize", "rlnVoltage"]] = [1.0, 200.0]
    write_blocks(tmp_path / "merged.star", {"optics": optics, "particles": table.assign(rlnOpticsGroup=groups)})
    facts = {"pixel_size": 2.0, "microscope": MICROSCOPE}
    found = refinements.refined_sets({"a": str(tmp_path / "merged.star")}, ["m1"], **facts)
    assert set(found["micrograph"]) == {"m1"}
    with pytest.raises(UserError, match=r"merged\.star: its rlnMicrographPixelSize states 1 Å/px"):
        refinements.refined_sets({"a": str(tmp_path / "merged.star")}, ["m2"], **facts)
