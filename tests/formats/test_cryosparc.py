import re

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from crisp_core.errors import UserError
from crisp_core.formats import cryosparc, cryosparc_picks, cs_files
from crisp_core.formats.coordinates.registry import read_coordinates
from crisp_core.formats.coordinates.table import coordinates_table
from crisp_core.formats.relion_optics import optics_table
from crisp_core.formats.relion_particles import particles_table
from crisp_core.formats.star import read_blocks, write_blocks
from crisp_core.formats.stems import micrograph_stem
from crisp_core.particles.stacks import write_stack

UID = "004512345678901234567_"
OPTICS = {"voltage_kv": 300, "spherical_aberration_mm": 2.7, "amplitude_contrast": 0.1}
CTF = pd.DataFrame(
    {"micrograph": ["m1", "m2"], "defocus_u_angstrom": 9e3, "defocus_v_angstrom": 8e3, "defocus_angle_deg": 1.0}
)


def picks(n=4):
    rng = np.random.default_rng(1)
    return coordinates_table(["m1", "m1", "m2", "m2"][:n], *rng.uniform(0, 90, (2, n)), score=rng.uniform(size=n))


@pytest.fixture
def project(tmp_path):
    """Writes a star file that cryoSPARC can import, and its stack; its arguments make something wrong."""
    write_stack(tmp_path / "p.mrcs", [np.ones((4, 8, 8), np.float32)], size_px=8, pixel_size=2.0)
    optics = optics_table(**OPTICS, micrograph_pixel_size=2.0, pixel_size=2.0, box_px=8)
    paths = {"m1": "mics/m1.mrc", "m2": "mics/m2.mrc"}
    particles = particles_table(picks(), stack="p.mrcs", micrograph_paths=paths, ctf=CTF)

    def write(change_particles=lambda table: table, change_optics=lambda table: table):
        blocks = {"optics": change_optics(optics.copy()), "particles": change_particles(particles.copy())}
        lines = ["# version 30001"]
        for name, block in blocks.items():
            lines += [f"\ndata_{name}\n\nloop_", *(f"_{label} #{i}" for i, label in enumerate(block, start=1))]
            lines += ["\t".join(map(str, row)) for row in block.itertuples(index=False)]
        (tmp_path / "p.star").write_text("\n".join(lines) + "\n")
        return tmp_path / "p.star"

    return write


def test_what_we_write_can_be_imported(project):
    path = project()
    assert cryosparc.import_problems(path, project=path.parent) == []
    cryosparc.check_import(path, project=path.parent)


def test_no_particles_at_all_can_be_imported(project):
    path = project(lambda table: table.iloc[:0])
    assert cryosparc.import_problems(path, project=path.parent) == []


def cell(label, value, row=0):
    def change(table):
        table[label] = table[label].astype(object)
        table.loc[row, label] = value
        return table

    return change


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda t: t.drop(columns="rlnMicrographName"), "has no column rlnMicrographName; write the file with it"),
        (lambda t: t.drop(columns="rlnDefocusV"), "has some of rlnDefocusU rlnDefocusV rlnDefocusAngle and not all"),
        (cell("rlnImageName", "p.mrcs"), "rlnImageName 'p.mrcs' is not of the form 000001@stack.mrcs"),
        (cell("rlnImageName", "1@p.mrcs"), "rlnImageName '1@p.mrcs' is not of the form 000001@stack.mrcs"),
        (cell("rlnImageName", "000002@p.mrcs"), "two particles have the image 000002@p.mrcs; remove one"),
        (cell("rlnImageName", "000001@p.mrc"), "stack 'p.mrc' does not have the suffix .mrcs; rename"),
        (cell("rlnImageName", "000001@/data/p.mrcs"), "path '/data/p.mrcs' is not relative to the project directory"),
        (cell("rlnMicrographName", "../m1.mrc"), r"RELION does not follow '..' in '../m1.mrc'; link the files"),
        (cell("rlnMicrographName", "other/m2.mrc"), "two micrographs have the name m2, and cryoSPARC compares names"),
        (cell("rlnOpticsGroup", 2), "particles are of optics group 2, which data_optics lacks; add it there"),
        (cell("rlnCoordinateX", "left", row=2), "rlnCoordinateX of particle 3 is not a number; correct it"),
        (cell("rlnDefocusU", "nan"), "rlnDefocusU of particle 1 is not a number; correct it"),
        (cell("rlnImageName", "000005@p.mrcs"), "stack p.mrcs has 4 images, and the star file numbers beyond them"),
        (lambda t: t.iloc[:3], "stack p.mrcs has 4 images and 3 rows in the star file; write both again"),
        (cell("rlnImageName", "000001@q.mrcs"), "q.mrcs: no such file; check the path"),
    ],
)
def test_what_is_wrong_with_the_particles_is_named(project, change, problem):
    path = project(change)
    problems = cryosparc.import_problems(path, project=path.parent)
    assert any(problem in found for found in problems), problems
    with pytest.raises(UserError, match=r"p\.star: "):
        cryosparc.check_import(path, project=path.parent)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda t: t.drop(columns="rlnImageSize"), "has no column rlnImageSize; write the file with it"),
        (cell("rlnOpticsGroup", 3), "rlnOpticsGroup in data_optics is not 1, 2, …; number the groups so"),
        (cell("rlnVoltage", 0), "rlnVoltage in data_optics is not a number, or negative or 0; correct it"),
        (cell("rlnImagePixelSize", "<NA>"), "rlnImagePixelSize in data_optics is not a number, or negative or 0"),
        (cell("rlnImageSize", 10), "stack p.mrcs has images of 8 × 8 pixels, unlike rlnImageSize; correct data_opt"),
        (lambda t: pd.concat([t, t.assign(rlnOpticsGroup=2)]), "two optics groups have the same rlnOpticsGroupName"),
    ],
)
def test_what_is_wrong_with_the_optics_is_named(project, change, problem):
    path = project(change_optics=change)
    problems = cryosparc.import_problems(path, project=path.parent)
    assert any(problem in found for found in problems), problems


def test_a_label_that_stands_twice_and_a_missing_block(project):
    path = project(lambda t: pd.concat([t, t["rlnCoordinateX"]], axis=1))
    with pytest.raises(UserError, match=r"p\.star: a block has the label rlnCoordinateX twice"):
        cryosparc.check_import(path, project=path.parent)
    write_blocks(path, {"particles": read_blocks(project())["particles"]})
    assert cryosparc.import_problems(path) == ["has no block data_optics; write it as RELION 3.1 and later do"]


def test_a_stack_that_is_no_mrc_file_is_named(project):
    path = project()
    (path.parent / "p.mrcs").write_bytes(b"x" * 3000)
    (problem,) = cryosparc.import_problems(path, project=path.parent)
    assert problem == f"{path.parent}/p.mrcs: is not an MRC file; extract the particles again"


def test_the_number_of_further_problems_is_told(project):
    path = project(lambda t: t.drop(columns=["rlnMicrographName", "rlnImageName"]))
    with pytest.raises(UserError, match=re.escape("has no column rlnImageName; write the file with it (and 1 more)")):
        cryosparc.check_import(path, project=path.parent)


def test_thousands_of_optics_groups_are_checked(tmp_path):
    n = 3000
    one = optics_table(**OPTICS, micrograph_pixel_size=2.0, pixel_size=2.0, box_px=8)
    optics = pd.concat([one] * n, ignore_index=True)
    optics["rlnOpticsGroup"] = np.arange(1, n + 1)
    optics["rlnOpticsGroupName"] = [f"opticsGroup{i}" for i in range(1, n + 1)]
    rng = np.random.default_rng(0)
    coordinates = coordinates_table([f"m{i}" for i in range(n)], *rng.uniform(0, 9, (2, n)))
    particles = particles_table(
        coordinates, stack="p.mrcs", micrograph_paths={m: f"{m}.mrc" for m in coordinates["micrograph"]}
    ).assign(rlnOpticsGroup=optics["rlnOpticsGroup"])
    write_blocks(tmp_path / "p.star", {"optics": optics, "particles": particles})
    write_stack(tmp_path / "p.mrcs", [np.zeros((n, 8, 8), np.float32)], size_px=8, pixel_size=2.0)
    assert cryosparc.import_problems(tmp_path / "p.star", project=tmp_path) == []
    back = read_coordinates(tmp_path / "p.star")
    pd.testing.assert_frame_equal(back, coordinates, rtol=1e-8)


def test_coordinates_of_all_micrographs_in_one_star(tmp_path):
    paths = {"m1": "mics/m1.mrc", "m2": f"mics/{UID}m2.mrc"}
    cryosparc.write_coordinates_only(tmp_path / "c.star", picks(), paths)
    block = read_blocks(tmp_path / "c.star")["particles"]
    assert list(block["rlnMicrographName"]) == ["mics/m1.mrc"] * 2 + [f"mics/{UID}m2.mrc"] * 2
    np.testing.assert_allclose(block[["rlnCoordinateX", "rlnCoordinateY"]], picks()[["x", "y"]], rtol=1e-8)
    with pytest.raises(UserError, match=r"c\.star: the path of micrograph m2 is unknown; give all micrographs"):
        cryosparc.write_coordinates_only(tmp_path / "c.star", picks(), {"m1": "m1.mrc"})


def exposures(path, names, shapes):
    types = [("uid", "u8"), ("micrograph_blob/path", "S90"), ("micrograph_blob/shape", "u4", 2)]
    rows = np.zeros(len(names), dtype=[*types, ("mscope_params/exp_group_id", "u4")])
    rows["uid"] = np.arange(7, 7 + len(names))
    rows["micrograph_blob/path"] = [f"J2/motioncorrected/{name}.mrc".encode() for name in names]
    rows["micrograph_blob/shape"] = shapes
    rows["mscope_params/exp_group_id"] = 3
    cs_files.write_cs(path, rows)
    return path


def test_picks_for_cryosparc_know_their_exposures(tmp_path):
    given_exposures = exposures(tmp_path / "e.cs", [f"{UID}m2", f"{UID}m1"], [(100, 200), (300, 400)])
    table = coordinates_table(["m1", "m2", "away"], [20, 20, 1], [37.5, 75, 1], score=[0.5, np.nan, 1])
    # m1 was binned before it was picked
    shapes = {"m1": (150, 200), "m2": (100, 200), "away": (10, 10)}
    names = cryosparc_picks.write_picks(tmp_path / "picks.cs", table, exposures=given_exposures, shapes=shapes)
    assert list(names["micrograph"]) == [f"J2/motioncorrected/{UID}m1.mrc", f"J2/motioncorrected/{UID}m2.mrc", ""]
    rows = np.load(tmp_path / "picks.cs")
    assert rows["location/micrograph_uid"].tolist() == [8, 7] and rows["location/exp_group_id"].tolist() == [3, 3]
    assert rows["location/micrograph_shape"].tolist() == [[300, 400], [100, 200]]
    # from the left, and from the bottom
    np.testing.assert_allclose(rows["location/center_x_frac"], [0.1, 0.1], rtol=1e-6)
    np.testing.assert_allclose(rows["location/center_y_frac"], [0.75, 0.25], rtol=1e-6)
    assert len(set(rows["uid"].tolist())) == 2
    group = yaml.safe_load((tmp_path / "picks.csg").read_text())
    assert group["group"]["type"] == "particle"
    assert group["results"]["location"] == {"metafile": ">picks.cs", "num_items": 2, "type": "particle.location"}
    first = (tmp_path / "picks.cs").read_bytes()
    cryosparc_picks.write_picks(tmp_path / "picks.cs", table, exposures=given_exposures, shapes=shapes)
    assert (tmp_path / "picks.cs").read_bytes() == first


def test_exposures_of_other_proportions_are_refused(tmp_path):
    turned = exposures(tmp_path / "e.cs", ["m1"], [(400, 300)])
    table = coordinates_table(["m1"], [20], [37.5])
    with pytest.raises(UserError, match=r"e\.cs: the exposure of m1 has 400 × 300 px, the picked micrograph 150 × 200"):
        cryosparc_picks.write_picks(tmp_path / "picks.cs", table, exposures=turned, shapes={"m1": (150, 200)})
    # a binned side is rounded
    odd = exposures(tmp_path / "odd.cs", ["m1"], [(301, 401)])
    cryosparc_picks.write_picks(tmp_path / "picks.cs", table, exposures=odd, shapes={"m1": (150, 200)})


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return tmp_path_factory.mktemp("cryosparc")


sides = st.integers(2, 12000)


@settings(max_examples=30)
@given(
    shape=st.tuples(sides, sides),
    fractions=st.lists(st.tuples(st.floats(-0.1, 1.1), st.floats(-0.1, 1.1)), max_size=5),
    name=st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="/\\"), min_size=1, max_size=8),
)
def test_cryosparc_picks_come_back(directory, shape, fractions, name):
    stem = micrograph_stem(f"{name}-1")
    given_exposures = exposures(directory / "e.cs", [stem], [shape])
    x, y = (np.reshape(fractions, (-1, 2)) * shape[::-1]).T
    table = coordinates_table([stem] * len(x), x, y, np.arange(len(x)) / 8)
    cryosparc_picks.write_picks(directory / "p.cs", table, exposures=given_exposures, shapes={stem: shape})
    back = read_coordinates(directory / "p.cs")
    np.testing.assert_allclose(back[["x", "y"]], table[["x", "y"]], rtol=0, atol=2**-23 * max(shape) + 1e-9)
    assert list(back["micrograph"]) == [stem] * len(x) and list(back["score"]) == list(table["score"])


def test_picks_without_their_location_or_exposures_without_shape_are_refused(tmp_path):
    cs_files.write_cs(tmp_path / "p.cs", np.zeros(2, dtype=[("uid", "u8")]))
    cure = "export picked or extracted particles from cryoSPARC together with their passthrough fields"
    with pytest.raises(UserError) as error:
        read_coordinates(tmp_path / "p.cs")
    assert str(error.value) == f"{tmp_path}/p.cs: has no field location/micrograph_path; {cure}"
    with pytest.raises(UserError, match=r"p\.cs: has no field micrograph_blob/path; export the exposures with their"):
        cryosparc_picks.write_picks(tmp_path / "q.cs", picks(), exposures=tmp_path / "p.cs", shapes={})
    strangers = exposures(tmp_path / "e.cs", ["other"], [(10, 20)])
    with pytest.raises(UserError, match=r"e\.cs: none of 2 names matches a micrograph: 'm1' …, while"):
        cryosparc_picks.match_exposures(strangers, ["m1", "m2"])
    # a dataset without any was refused above; a run may have picks on none
    assert (
        cryosparc_picks.write_picks(tmp_path / "q.cs", picks(), exposures=strangers, shapes={})["micrograph"] == ""
    ).all()
    assert len(np.load(tmp_path / "q.cs")) == 0
    with pytest.raises(ValueError, match=r"does not have the suffix \.cs"):
        cryosparc_picks.write_picks(tmp_path / "q.star", picks(), exposures=tmp_path / "p.cs", shapes={})


@pytest.mark.real
def test_a_real_cs_file_without_locations_is_refused(shared_data):
    with pytest.raises(UserError, match=r"particles\.cs: has no field location/micrograph_path; export picked or"):
        read_coordinates(shared_data / "interop/cryodrgn_cryosparc_P12_J24_001_particles.cs")


@settings(max_examples=25)
@given(
    names=st.lists(
        st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="/\\\"'#"), min_size=1, max_size=6),
        max_size=5,
        unique=True,
    ),
    n=st.integers(0, 4),
)
def test_coordinates_only_come_back_for_any_names_and_no_picks(directory, names, n):
    stems = [micrograph_stem(f"m{name}-1") for name in names]
    table = coordinates_table(np.repeat(stems, n), *np.random.default_rng(n).uniform(0, 99, (2, n * len(stems))))
    cryosparc.write_coordinates_only(directory / "c.star", table, {stem: f"mics/{stem}.mrc" for stem in stems})
    pd.testing.assert_frame_equal(read_coordinates(directory / "c.star"), table, rtol=1e-8)
