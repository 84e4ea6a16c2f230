import re
import shutil
import subprocess

import mrcfile
import numpy as np
import pandas as pd
import pytest
from scipy.spatial.transform import Rotation

from crisp_core.errors import UserError
from crisp_core.formats.mrc import write_mrc
from crisp_core.formats.poses import CRYOSPARC_FIELDS, POSE_COLUMNS, read_poses, upside_down
from crisp_core.formats.relion_optics import optics_table
from crisp_core.formats.star import write_blocks
from crisp_core.simulation.centers import draw_rotations
from crisp_core.simulation.projections import place_projections, project
from tests.densities import ball
from tests.pose_files import write_poses

TURNS = ["rot", "tilt", "psi"]
ORIGINS = ["origin_x_angstrom", "origin_y_angstrom"]


def lopsided(n=32):
    """Density without any symmetry."""
    return ball(n, 6, (2, -1, 0)) + ball(n, 3, (-5, 4, 3)) + 2 * ball(n, 2, (4, 5, -5))


def some_poses(n, *, seed=0, micrograph="a"):
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({"micrograph": [micrograph] * n, "x": rng.uniform(0, 90, n), "y": rng.uniform(0, 70, n)})
    table[TURNS] = draw_rotations(n, rng)
    table[ORIGINS] = rng.uniform(-9, 9, (n, 2))
    return table


def relion_matrix(rot, tilt, psi):
    """Formula of RELION's euler.cpp, Euler_angles2matrix."""
    (ca, sa), (cb, sb), (cg, sg) = ((np.cos(np.radians(t)), np.sin(np.radians(t))) for t in (rot, tilt, psi))
    cc, cs, sc, ss = cb * ca, cb * sa, sb * ca, sb * sa
    return np.array(
        [
            [cg * cc - sg * sa, cg * cs + sg * ca, -cg * sb],
            [-sg * cc - cg * sa, -sg * cs + cg * ca, sg * sb],
            [sc, ss, cb],
        ]
    )


def rodrigues(vector):
    """Rotation by |vector| around it, which takes a vector to its turned self."""
    angle = np.linalg.norm(vector)
    x, y, z = vector / angle
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def save_cs(path, poses, shifts, *, micrograph=b"S1/123456789012345678901_mic_a.mrc", without=None):
    """A .cs file of particles at a tenth of the width and height from the left and the bottom of 300 × 200 pixels."""
    n = len(poses)
    values = [poses, shifts, np.full(n, 2.5), np.full(n, micrograph), np.tile([200, 300], (n, 1)), 0.1, 0.1]
    types = [("f4", 3), ("f4", 2), "f4", "S60", ("u4", 2), "f4", "f4"]
    kept = [(field, *(t if isinstance(t, tuple) else (t,))) for field, t in zip(CRYOSPARC_FIELDS, types, strict=True)]
    array = np.zeros(n, dtype=[entry for entry in kept if entry[0] != without])
    for field, value in zip(CRYOSPARC_FIELDS, values, strict=True):
        if field != without:
            array[field] = value
    with open(path, "wb") as file:
        np.save(file, array)
    return path


@pytest.mark.slow
def test_origins_have_relions_sign(tmp_path):
    if shutil.which("relion_reconstruct") is None:
        pytest.skip("relion_reconstruct is not on PATH: install RELION (Debian: apt-get install relion)")
    n, pixel_size = 60, 4.0
    rng = np.random.default_rng(1)
    density, euler_deg, moved = lopsided(), draw_rotations(n, rng), rng.uniform(-4, 4, (n, 2))
    projections = project(density, euler_deg)
    boxes = [place_projections((32, 32), projections[i : i + 1], 16 + moved[i : i + 1]) for i in range(n)]
    write_mrc(tmp_path / "boxes.mrcs", np.stack(boxes), pixel_size=pixel_size, dtype=np.float32)
    poses = some_poses(n).assign(**dict(zip(TURNS, euler_deg.T, strict=True)))
    likeness = {}
    for sign in (-1, 1):
        poses[ORIGINS] = sign * pixel_size * moved
        labels = dict(
            zip([*TURNS, *ORIGINS], "AngleRot AngleTilt AnglePsi OriginXAngst OriginYAngst".split(), strict=True)
        )
        particles = poses[list(labels)].rename(columns={key: f"rln{label}" for key, label in labels.items()})
        particles["rlnImageName"] = [f"{i + 1:06d}@boxes.mrcs" for i in range(n)]
        optics = optics_table(
            voltage_kv=300,
            spherical_aberration_mm=2.7,
            amplitude_contrast=0.1,
            micrograph_pixel_size=pixel_size,
            pixel_size=pixel_size,
            box_px=32,
        )
        write_blocks(tmp_path / "in.star", {"optics": optics, "particles": particles.assign(rlnOpticsGroup=1)})
        command = ["relion_reconstruct", "--i", "in.star", "--o", "out.mrc"]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
        found = mrcfile.read(tmp_path / "out.mrc")
        likeness[sign] = np.corrcoef(found.ravel(), density.ravel())[0, 1]
    # A particle that lies to the right of its position has a negative origin: centre = position - origin.
    assert likeness[-1] > 0.9 > 0.7 > likeness[1]


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "micrograph", "first"),
    [
        (
            "aspire_sample_particles_relion30.star",
            "micrograph",
            [2158.111921, 3073.912046, 109.18664, 122.200343, 71.118492, 0.267065, 0.267065],
        ),
        (
            "aspire_sample_particles_relion31.star",
            "micrograph",
            [2158.111921, 3073.912046, 109.18664, 122.200343, 71.118492, 0.1996, 0.1996],
        ),
        (
            "cryodrgn_relion31.6opticsgroups.star",
            "0003",
            [2417.658855, 1078.795983, -128.10516, 37.06892, -82.17809, 13.284554, -3.21701],
        ),
        (
            "cryodrgn_relion5.star",
            "FoilHole_353510_Data_342200_1_20250401_174947_EER",
            [1736, 228, 111.508618, 36.742536, 141.158035, -3.12578, -1.41031],
        ),
    ],
)
def test_star_files_of_relion_30_31_and_5(shared_data, name, micrograph, first):
    poses = read_poses(shared_data / "interop" / name)
    assert tuple(poses.columns) == POSE_COLUMNS and np.isfinite(poses[list(POSE_COLUMNS[1:])]).all(axis=None)
    assert poses["micrograph"].iloc[0] == micrograph
    np.testing.assert_allclose(poses.iloc[0, 1:].astype(float), first, rtol=1e-5)


def test_origins_in_pixels_become_angstrom_by_their_optics_group(tmp_path):
    particles = pd.DataFrame(
        {
            "rlnCoordinateX": [1.0, 2.0, 3.0],
            "rlnCoordinateY": [4.0, 5.0, 6.0],
            "rlnMicrographName": ["a.mrc"] * 3,
            "rlnAngleRot": 0.0,
            "rlnAngleTilt": 0.0,
            "rlnAnglePsi": 0.0,
            "rlnOriginX": [1.0, 1.0, -2.0],
            "rlnOriginY": [3.0, 0.0, 0.5],
            "rlnOpticsGroup": [2, 1, 2],
        }
    )
    optics = pd.DataFrame({"rlnOpticsGroup": [1, 2], "rlnImagePixelSize": [1.5, 4.0]})
    write_blocks(tmp_path / "p.star", {"optics": optics, "particles": particles})
    expected = np.array([[4.0, 12.0], [1.5, 0.0], [-8.0, 2.0]])
    np.testing.assert_allclose(read_poses(tmp_path / "p.star")[ORIGINS], expected)
    no_origins = particles.drop(columns=["rlnOriginX", "rlnOriginY"])
    write_blocks(tmp_path / "p.star", {"optics": optics, "particles": no_origins})
    assert (read_poses(tmp_path / "p.star")[ORIGINS] == 0).all(axis=None)
    write_blocks(tmp_path / "p.star", {"particles": particles})
    with pytest.raises(UserError, match=r"p\.star: has no column rlnImagePixelSize; export it with that column"):
        read_poses(tmp_path / "p.star")


def test_what_is_written_is_read_back(tmp_path):
    poses = some_poses(7)
    write_poses(tmp_path / "p.star", poses)
    pd.testing.assert_frame_equal(read_poses(tmp_path / "p.star"), poses, rtol=1e-7)


@pytest.mark.parametrize("column", ["rlnCoordinateX", "rlnMicrographName", "rlnAngleTilt"])
def test_star_without_a_needed_column_is_refused(tmp_path, column):
    write_poses(tmp_path / "p.star", some_poses(2))
    text = (tmp_path / "p.star").read_text()
    (tmp_path / "p.star").write_text(text.replace(f"_{column} ", "_rlnSomethingElse "))
    with pytest.raises(UserError, match=rf"p\.star: has no column {column}; export it with that column"):
        read_poses(tmp_path / "p.star")


@pytest.mark.real
def test_cryosparc_poses_are_relions_angles(shared_data, tmp_path):
    # No .cs file at hand has a star file of the same refined particles, so the angles of a real refinement are compared
    # with pyem's published convention: RELION's matrix is the transpose of the rotation vector's (geom.expmap).
    particles = np.load(shared_data / "interop/cryodrgn_cryosparc_P12_J24_001_particles.cs")[:200]
    vectors, shifts = particles["alignments3D/pose"].astype(float), particles["alignments3D/shift"]
    poses = read_poses(save_cs(tmp_path / "p.cs", vectors, shifts))
    for turns, vector in zip(poses[TURNS].to_numpy(), vectors, strict=True):
        np.testing.assert_allclose(relion_matrix(*turns), rodrigues(vector).T, atol=1e-6)
    np.testing.assert_allclose(poses[ORIGINS], 2.5 * shifts, rtol=1e-6)
    assert poses["tilt"].between(0, 180).all()


def test_cryosparc_positions_are_fractions_from_the_bottom_left(tmp_path):
    poses = read_poses(save_cs(tmp_path / "p.cs", np.zeros((2, 3)), np.zeros((2, 2))))
    np.testing.assert_allclose(poses[["x", "y"]], [[30, 180]] * 2, rtol=1e-6)
    assert (poses["micrograph"] == "123456789012345678901_mic_a").all()
    assert (poses[TURNS] == 0).all(axis=None)


@pytest.mark.parametrize("field", CRYOSPARC_FIELDS)
def test_cs_without_a_needed_field_is_refused(tmp_path, field):
    path = save_cs(tmp_path / "p.cs", np.ones((2, 3)), np.zeros((2, 2)), without=field)
    with pytest.raises(UserError) as error:
        read_poses(path)
    assert str(error.value) == (
        f"{path}: has no field {field}; export the refinement's particles from cryoSPARC together with their "
        "passthrough fields and give that .cs, or give pyem's star file of both"
    )


@pytest.mark.real
def test_real_cs_without_its_passthrough_is_refused(shared_data):
    with pytest.raises(UserError, match=r"particles\.cs: has no field location/micrograph_path; export the refinement"):
        read_poses(shared_data / "interop/cryodrgn_cryosparc_P12_J24_001_particles.cs")


def test_file_that_is_no_cs_file_is_refused(tmp_path):
    (tmp_path / "p.cs").write_text("data_particles")
    with pytest.raises(UserError, match=r"p\.cs: is not a cryoSPARC \.cs file; export the particles again"):
        read_poses(tmp_path / "p.cs")
    with pytest.raises(UserError, match=re.escape("no.cs: no such file; check the path")):
        read_poses(tmp_path / "no.cs")


def test_upside_down_poses_project_to_the_flipped_micrograph():
    shape, pixel_size = (70, 90), 3.0
    poses = some_poses(5, seed=2)
    flipped = upside_down(poses, {"a": shape[0]})
    images = []
    for table in (poses, flipped):
        xy = table[["x", "y"]].to_numpy() - table[ORIGINS].to_numpy() / pixel_size
        images.append(place_projections(shape, project(lopsided(), table[TURNS].to_numpy()), xy))
    np.testing.assert_allclose(images[1], images[0][::-1], atol=0.02 * images[0].max())
    again = upside_down(flipped, {"a": shape[0]})
    np.testing.assert_allclose(again[["x", "y", *ORIGINS]], poses[["x", "y", *ORIGINS]])
    turns = [Rotation.from_euler("ZYZ", table[TURNS], degrees=True).as_matrix() for table in (again, poses)]
    np.testing.assert_allclose(*turns, atol=1e-12)
