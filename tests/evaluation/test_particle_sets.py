import re

import numpy as np
import pandas as pd
import pytest

from crisp_core.errors import UserError
from crisp_core.evaluation import particle_sets as sets
from crisp_core.evaluation.particle_sets import assign_halves, join_sets
from crisp_core.formats.cs_files import write_cs
from crisp_core.formats.poses import ANGLE_LABELS, ORIGIN_LABELS
from crisp_core.formats.relion_labels import CTF_LABELS
from crisp_core.formats.star import write_blocks
from crisp_core.reconstruction.half_maps import HALF

PIXEL_SIZE, DIAMETER_PX, SHAPE = 2.0, 40.0, (600, 800)
OPTIONS = {"diameter_px": DIAMETER_PX, "pixel_size": PIXEL_SIZE, "seed": 4}
RLN_ANGLES, RLN_ORIGINS = list(ANGLE_LABELS.values()), list(ORIGIN_LABELS.values())


def true_particles(name, n=30, seed=0):
    rng = np.random.default_rng(seed)
    xy = np.stack(np.meshgrid(np.arange(6) * 120 + 60, np.arange(5) * 110 + 60), axis=-1).reshape(-1, 2)[:n]
    table = pd.DataFrame({"micrograph": name, "x": xy[:, 0], "y": xy[:, 1], "score": np.nan})
    table[["x", "y"]] += rng.uniform(0, 9, (n, 2))
    table[RLN_ANGLES] = rng.uniform(-90, 90, (n, 3))
    return table.assign(rlnDefocusU=15000.0 + seed, rlnDefocusV=14000.0, rlnDefocusAngle=20.0)


@pytest.fixture(scope="module")
def truth():
    return pd.concat([true_particles("m1", seed=1), true_particles("m2", seed=2)], ignore_index=True)


@pytest.fixture(scope="module")
def picks(truth):
    """Every pick a few pixels off, in another order; five of them nowhere, and ten particles missed."""
    rng = np.random.default_rng(3)
    table = truth[["micrograph", "x", "y"]].assign(score=rng.uniform(size=len(truth)))
    table[["x", "y"]] += rng.uniform(-8, 8, (len(table), 2))
    nowhere = table.iloc[:5] + pd.DataFrame({"micrograph": "", "x": 60.0, "y": 55.0, "score": 0.0}, index=range(5))
    return pd.concat([table.iloc[10:], nowhere]).sample(frac=1, random_state=0, ignore_index=True)


@pytest.fixture(scope="module")
def particles(truth, picks):
    shapes = {"m1": SHAPE, "m2": SHAPE}
    return sets.simulated_particles({"picks": picks}, truth, shapes, false_share=0.5, **OPTIONS)


def test_a_picks_axis_is_that_of_its_particle(truth, particles):
    own = particles[particles["crispSet"] == "picks"]
    true = own[own["crispTrue"] == 1]
    assert (len(own), len(true)) == (55, 50)
    # position minus origin is where the particle is
    axis = true[["x", "y"]].to_numpy() - true[RLN_ORIGINS].to_numpy() / PIXEL_SIZE
    distance = np.linalg.norm(axis[:, None] - truth[["x", "y"]].to_numpy(), axis=2)
    assert distance.min(axis=1).max() < 1e-9
    nearest = truth.iloc[distance.argmin(axis=1)]
    np.testing.assert_array_equal(true[[*RLN_ANGLES, *CTF_LABELS]], nearest[[*RLN_ANGLES, *CTF_LABELS]])
    assert (own[["x", "y"]] % 1 == 0).all(axis=None)


def test_false_picks_have_their_micrographs_defocus(particles):
    false = particles[particles["crispTrue"] == 0]
    assert set(false["crispSet"]) == {"picks", "false"}
    assert (false["rlnDefocusU"] == false["micrograph"].map({"m1": 15001.0, "m2": 15002.0})).all()


def test_false_places_are_away_from_every_particle(truth, particles):
    places = particles[particles["crispSet"] == "false"]
    assert places.groupby("micrograph").size().to_dict() == {"m1": 15, "m2": 15}
    for name, own in places.groupby("micrograph"):
        true = truth.loc[truth["micrograph"] == name, ["x", "y"]].to_numpy()
        assert np.linalg.norm(own[["x", "y"]].to_numpy()[:, None] - true, axis=2).min() > DIAMETER_PX / 2


def test_a_micrograph_draws_the_same_alone_or_beside_others(truth, picks, particles):
    alone = sets.simulated_particles({"picks": picks}, truth, {"m2": SHAPE}, false_share=0.5, **OPTIONS)
    beside = particles[particles["micrograph"] == "m2"].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone, beside)


def test_a_micrograph_without_particles_gives_none(truth, picks):
    shapes = {"m1": SHAPE, "empty": SHAPE}
    stray = pd.DataFrame({"micrograph": ["empty"], "x": [50.0], "y": [50.0], "score": [0.5]})
    made = sets.simulated_particles({"picks": pd.concat([picks, stray])}, truth, shapes, false_share=0.5, **OPTIONS)
    assert set(made["micrograph"]) == {"m1"}


def test_a_batch_without_any_of_the_micrographs_gives_no_particle(truth, picks, particles):
    made = sets.simulated_particles({"picks": picks}, truth, {}, false_share=0.5, **OPTIONS)
    assert made.empty and list(made) == list(particles)


def test_sets_are_equal_in_size_and_hold_their_share_of_false_picks(particles):
    names = ["truth", "picks", "false-10", "false-50"]
    shares = {"false-10": 0.1, "false-50": 0.5}
    made = sets.particle_sets(particles, names, false_shares=shares, n_particles=None, seed=1)
    assert [(name, len(table)) for name, table in made.items()] == [(name, 55) for name in names]
    n_false = {name: int((table["crispTrue"] == 0).sum()) for name, table in made.items()}
    assert n_false == {"truth": 0, "picks": 5, "false-10": 6, "false-50": 28}
    for table in made.values():
        assert table[HALF].value_counts().to_dict() == {1: 28, 2: 27}
        assert table.index.is_monotonic_increasing and table.index.is_unique


def test_seeds_draw_their_own_subsets_halves_and_false_angles(particles):
    one, again, other = (
        sets.particle_sets(particles, ["truth", "false-50"], false_shares={"false-50": 0.5}, n_particles=40, seed=seed)[
            "false-50"
        ]
        for seed in (1, 1, 2)
    )
    pd.testing.assert_frame_equal(one, again)
    assert set(one.index) != set(other.index)
    both = one.index.intersection(other.index)
    true = one.loc[both, "crispTrue"] == 1
    changed = (one.loc[both, RLN_ANGLES] != other.loc[both, RLN_ANGLES]).all(axis=1)
    assert (changed == ~true).all() and true.any() and not true.all()
    assert (one.loc[both, HALF] != other.loc[both, HALF]).any()


def test_false_picks_look_everywhere():
    false = pd.DataFrame({"crispTrue": np.zeros(4000, dtype=int)})
    false[RLN_ANGLES] = 0.0
    angles = assign_halves(false, np.random.default_rng(0))[RLN_ANGLES].to_numpy()
    assert abs(np.cos(np.radians(angles[:, 1])).mean()) < 0.03
    assert abs(np.exp(1j * np.radians(angles[:, [0, 2]])).mean(axis=0)).max() < 0.05


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"names": ["truth", "topaz"]},
            r"resolution/n_particles: is 0, but the set topaz has 0 particles and a set needs",
        ),
        ({"n_particles": 56}, r"resolution/n_particles: is 56, but the set picks has 55 particles and a set needs"),
        ({"n_particles": 1}, r"resolution/n_particles: is 1, but the set picks has 55 particles and a set needs"),
        (
            {"false_shares": {"false-90": 0.9}},
            r"resolution/false_shares: need 50 false picks, but there is room for 30; lower them",
        ),
    ],
)
def test_sets_that_cannot_be_drawn_are_refused(particles, options, message):
    with pytest.raises(UserError, match=f"^{message}"):
        given = {"names": ["truth", "picks"], "false_shares": {}, "n_particles": None} | options
        names = [*given.pop("names"), *given["false_shares"]]
        sets.particle_sets(particles, names, seed=1, **given)


def refined_star(path, truth, **columns):
    table = truth.rename(columns={"x": "rlnCoordinateX", "y": "rlnCoordinateY"}).drop(columns="score")
    table["rlnMicrographName"] = "somewhere/" + table.pop("micrograph") + ".mrc"
    table[RLN_ORIGINS] = [[3.0, -1.5]] * len(table)
    write_blocks(path, {"particles": table.assign(**columns)})


def test_a_refinement_brings_its_poses_ctf_and_halves(tmp_path, truth):
    halves = np.arange(len(truth)) % 2 + 1
    refined_star(tmp_path / "run_data.star", truth, **{HALF: halves})
    table = sets.refined_particles(tmp_path / "run_data.star", ["m2", "m3"])
    own = truth[truth["micrograph"] == "m2"]
    assert set(table["micrograph"]) == {"m2"}
    np.testing.assert_array_equal(table[["x", "y"]], np.trunc(own[["x", "y"]]))
    np.testing.assert_allclose(table[[*RLN_ANGLES, *CTF_LABELS]], own[[*RLN_ANGLES, *CTF_LABELS]], rtol=1e-8)
    np.testing.assert_array_equal(table[RLN_ORIGINS], [[3.0, -1.5]] * len(own))
    joined = join_sets({"ours": table})
    made = sets.particle_sets(joined, ["ours"], false_shares={}, n_particles=20, seed=1)["ours"]
    np.testing.assert_array_equal(made[HALF], table.reset_index(drop=True).loc[made.index, HALF])


def test_sets_without_halves_get_random_ones_beside_sets_that_have_some(tmp_path, truth):
    refined_star(tmp_path / "with.star", truth, **{HALF: 1})
    refined_star(tmp_path / "without.star", truth)
    tables = {name: sets.refined_particles(tmp_path / f"{name}.star", ["m1", "m2"]) for name in ("with", "without")}
    made = sets.particle_sets(join_sets(tables), tables, false_shares={}, n_particles=None, seed=1)
    assert set(made["with"][HALF]) == {1}
    assert made["without"][HALF].value_counts().to_dict() == {1: 30, 2: 30}


def test_a_set_without_ctf_is_not_compared_with_one_that_has_it(tmp_path, truth):
    refined_star(tmp_path / "with.star", truth)
    refined_star(tmp_path / "without.star", truth.drop(columns=list(CTF_LABELS)))
    tables = {name: sets.refined_particles(tmp_path / f"{name}.star", ["m1"]) for name in ("with", "without")}
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
        sets.refined_particles(tmp_path / "run_data.star", ["m1", "m2"])


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
    table = sets.refined_particles(tmp_path / "particles.cs", ["m1"])
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
    sets.check_optics(tmp_path / "run_data.star", pixel_size=2.0, microscope=MICROSCOPE)
    write_optics(tmp_path / "run_data.star", truth, **change)
    with pytest.raises(UserError, match=rf"run_data\.star: its {message}"):
        sets.check_optics(tmp_path / "run_data.star", pixel_size=2.0, microscope=MICROSCOPE)


def test_the_pixel_size_of_movies_alone_is_no_contradiction(tmp_path, truth, caplog):
    write_optics(tmp_path / "run_data.star", truth)
    text = (tmp_path / "run_data.star").read_text()
    (tmp_path / "run_data.star").write_text(text.replace("rlnMicrographPixelSize", "rlnMicrographOriginalPixelSize"))
    sets.check_optics(tmp_path / "run_data.star", pixel_size=4.0, microscope=MICROSCOPE)
    assert "rlnMicrographOriginalPixelSize states 2 Å/px, the dataset's pixel_size is 4; check" in caplog.text


def test_optics_of_a_cryosparc_file_are_compared_and_zeros_are_not(tmp_path):
    fields = [("location/micrograph_path", "S40"), ("location/micrograph_shape", "u4", 2)]
    fields += [(f"location/center_{axis}_frac", "f4") for axis in "xy"]
    fields += [("location/micrograph_psize_A", "f4"), ("ctf/accel_kv", "f4"), ("ctf/cs_mm", "f4")]
    rows = np.zeros(2, dtype=fields)
    rows["location/micrograph_path"], rows["location/micrograph_shape"] = b"J1/m1.mrc", SHAPE
    rows["ctf/accel_kv"], rows["ctf/cs_mm"] = 300, 2.7
    write_cs(tmp_path / "particles.cs", rows)
    sets.check_optics(tmp_path / "particles.cs", pixel_size=2.0, microscope=MICROSCOPE)
    rows["location/micrograph_psize_A"] = 1.0
    write_cs(tmp_path / "particles.cs", rows)
    with pytest.raises(
        UserError, match=r"its location/micrograph_psize_A states 1 Å/px, the dataset's pixel_size is 2"
    ):
        sets.check_optics(tmp_path / "particles.cs", pixel_size=2.0, microscope=MICROSCOPE)


def test_particles_outside_of_their_micrographs_are_refused():
    sets.check_inside(10, 100)
    with pytest.raises(UserError, match=r"resolution/refined: 11 of 100 particles lie outside of their micrographs"):
        sets.check_inside(11, 100)
