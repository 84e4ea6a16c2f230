"""Half maps of simulated particles: the density comes out, and false picks cost correlation."""

import shutil

import numpy as np
import pandas as pd
import pytest

from crisp_core.ctf import through_ctf
from crisp_core.errors import UserError
from crisp_core.evaluation.fsc import fourier_shell_correlation
from crisp_core.evaluation.particle_sets import assign_halves, posed_picks
from crisp_core.formats.mrc import write_mrc
from crisp_core.formats.relion_optics import optics_table
from crisp_core.formats.relion_particles import particles_table, write_particles_star
from crisp_core.formats.volumes import read_volume
from crisp_core.particles.extraction import extract_particles
from crisp_core.particles.stacks import write_stack
from crisp_core.reconstruction import half_maps
from crisp_core.reconstruction.half_maps import choose_program
from crisp_core.simulation.centers import draw_rotations
from crisp_core.simulation.projections import place_projections, project

BOX, PIXEL_SIZE, DIAMETER_PX, SIDE = 32, 6.0, 20.0, 800
OPTICS = {"voltage_kv": 300, "spherical_aberration_mm": 2.7, "amplitude_contrast": 0.1}
DEFOCUS = {"defocus_u_angstrom": 16000.0, "defocus_v_angstrom": 15000.0, "defocus_angle_deg": 25.0}


def chiral_density():
    rng = np.random.default_rng(5)
    centres = rng.uniform(-8, 8, (200, 3))
    centres = centres[np.linalg.norm(centres, axis=1) < 8][:40]
    z, y, x = np.mgrid[:BOX, :BOX, :BOX] - BOX // 2
    return sum(np.exp(-((z - c) ** 2 + (y - b) ** 2 + (x - a) ** 2) / 2) for a, b, c in centres).astype(np.float32)


@pytest.fixture(scope="module")
def picked():
    """Images and poses of 500 picks, each a few pixels off its particle, and of 120 picks of nothing."""
    rng = np.random.default_rng(7)
    tables, images = [], []
    for name in ("m1", "m2"):
        xy = np.stack(np.meshgrid(*[np.arange(18) * 42 + 40.0] * 2), axis=-1).reshape(-1, 2)
        xy += rng.uniform(0, 8, xy.shape)
        angles, filled = draw_rotations(len(xy), rng), np.arange(len(xy)) % 6 > 0
        clean = place_projections((SIDE, SIDE), project(chiral_density(), angles[filled]), xy[filled])
        seen = -through_ctf(clean, pixel_size=PIXEL_SIZE, **OPTICS, **DEFOCUS)
        image = seen + rng.normal(scale=1.5 * seen.std(), size=seen.shape)
        truth = pd.DataFrame(xy[filled], columns=["x", "y"]).assign(micrograph=name, score=np.nan)
        truth[["rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"]] = angles[filled]
        truth[["rlnDefocusU", "rlnDefocusV", "rlnDefocusAngle"]] = list(DEFOCUS.values())
        picks = pd.DataFrame(xy + rng.uniform(-2, 2, xy.shape), columns=["x", "y"]).assign(micrograph=name, score=0.5)
        tables.append(posed_picks(picks, truth, reach_px=DIAMETER_PX / 2, pixel_size=PIXEL_SIZE))
        images.append(extract_particles(image, tables[-1][["x", "y"]].to_numpy(), box_px=BOX, bg_radius_px=14).stack)
    return pd.concat(tables, ignore_index=True), np.concatenate(images)


def written(folder, picked, rows):
    table, images = picked
    write_stack(folder / "all.mrcs", [images], size_px=BOX, pixel_size=PIXEL_SIZE)
    optics = optics_table(**OPTICS, micrograph_pixel_size=PIXEL_SIZE, pixel_size=PIXEL_SIZE, box_px=BOX)
    stars = particles_table(table, stack=f"{folder}/all.mrcs", micrograph_paths={"m1": "m1.mrc", "m2": "m2.mrc"})
    particles = pd.concat([stars, table.drop(columns=["micrograph", "x", "y", "score"])], axis=1)[rows(table)]
    particles = assign_halves(particles, np.random.default_rng(0))
    write_particles_star(folder / "set.star", optics, particles)
    return optics, particles


def reconstructed(program, folder, picked, rows):
    if program == "relion" and shutil.which("relion_reconstruct") is None:
        pytest.skip("relion_reconstruct is not on PATH: install RELION (Debian: apt-get install relion)")
    optics, particles = written(folder, picked, rows)
    paths = [f"{folder}/half{half}.mrc" for half in (1, 2)]
    half_maps.reconstruct_halves(program, f"{folder}/set.star", optics, particles, paths, symmetry="C1")
    volumes = [read_volume(path) for path in paths]
    assert all(volume.pixel_size == PIXEL_SIZE for volume in volumes)
    return [volume.density for volume in volumes]


@pytest.mark.slow
@pytest.mark.parametrize("program", half_maps.PROGRAMS)
def test_matched_picks_give_the_density_back(program, tmp_path, picked):
    halves = reconstructed(program, tmp_path, picked, lambda table: table["crispTrue"] == 1)
    shells, true = slice(1, 11), chiral_density()
    for half in halves:
        assert fourier_shell_correlation(half, true)[shells].min() > 0.5
        assert fourier_shell_correlation(half[::-1], true)[shells].min() < 0.2
    assert fourier_shell_correlation(*halves)[shells].min() > 0.4


@pytest.mark.slow
def test_false_picks_cost_correlation(tmp_path, picked):
    n_true = int(picked[0]["crispTrue"].sum())
    few = 2 * (len(picked[0]) - n_true)

    def true_only(table):
        return table.index.isin(table.index[table["crispTrue"] == 1][:few])

    def half_false(table):
        return (table["crispTrue"] == 0) | table.index.isin(table.index[table["crispTrue"] == 1][: few // 2])

    curves = []
    for name, rows in {"true": true_only, "false": half_false}.items():
        (tmp_path / name).mkdir()
        curves.append(fourier_shell_correlation(*reconstructed("relion", tmp_path / name, picked, rows))[3:12])
    assert curves[0].mean() > curves[1].mean() + 0.15


def test_relion_that_is_missing_is_said_at_once(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert choose_program(None) == "aspire"
    with pytest.raises(UserError, match=r"^resolution/program: relion_reconstruct is not on PATH; install RELION"):
        choose_program("relion")


def test_half_maps_of_two_programs_are_not_compared(tmp_path):
    paths = [tmp_path / f"{program}.mrc" for program in half_maps.PROGRAMS]
    for path in paths:
        write_mrc(path, np.zeros((4, 4, 4)), pixel_size=2.0, dtype=np.float32, note=half_maps.NOTE + path.stem)
    assert half_maps.program_of_halves(paths[:1] * 2) == "relion"
    with pytest.raises(
        UserError, match=r"resolution/program: .*aspire\.mrc by aspire and .*relion\.mrc by relion; name one"
    ):
        half_maps.program_of_halves(paths)
