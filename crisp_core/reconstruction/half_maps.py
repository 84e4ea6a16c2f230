"""Half maps from particles with known angles, by RELION or by ASPIRE."""

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.spatial.transform import Rotation

from crisp_core.errors import UserError
from crisp_core.formats.mrc import read_note, write_mrc
from crisp_core.formats.poses import ANGLE_LABELS, ORIGIN_LABELS
from crisp_core.formats.relion_labels import CTF_LABELS
from crisp_core.formats.volumes import read_volume
from crisp_core.programs import run_program
from crisp_core.reconstruction.aspire_map import back_project
from crisp_core.reconstruction.engines import ctf_of_particles, flip_phases
from crisp_core.reconstruction.stacks import read_images
from crisp_core.simulation.projections import shift_images

PROGRAMS = ("relion", "aspire")
RECONSTRUCT = "relion_reconstruct"
HALF = "rlnRandomSubset"
NOTE = "half map by "


def choose_program(program: str | None) -> str:
    """Return the program for the reconstruction: the given one, otherwise RELION if installed, otherwise ASPIRE.

    Raises
    ------
    UserError
        If the given program is RELION and it is not installed.
    """
    installed = shutil.which(RECONSTRUCT) is not None
    if program == "relion" and not installed:
        raise UserError(
            f"resolution/program: {RECONSTRUCT} is not on PATH; install RELION (Debian: apt install relion), "
            "or set it to aspire"
        )
    return program or ("relion" if installed else "aspire")


def reconstruct_halves(
    program: str,
    star: str | Path,
    optics: pd.DataFrame,
    particles: pd.DataFrame,
    paths: Sequence[str],
    *,
    symmetry: str,
) -> None:
    """Reconstruct and write two half maps.

    Parameters
    ----------
    program : str
        One of `PROGRAMS`. RELION corrects the CTF by division; ASPIRE gets images with flipped phases.
    star : str or Path
        Star file of the particles for RELION; its path and those of the stacks are relative to the working directory.
    optics, particles : DataFrame
        Blocks of the star file.
    paths : two str
        Files of the half maps to write.
    symmetry : str
        Point group; ASPIRE supports Cn and Dn.
    """
    pixel_size = float(optics["rlnImagePixelSize"].iloc[0])
    for half, path in enumerate(paths, start=1):
        if program == "relion":
            with_ctf = CTF_LABELS.keys() <= {*particles}
            command = reconstruct_command(star, path, half=half, symmetry=symmetry, with_ctf=with_ctf)
            run_program(command, install="install RELION (Debian: apt install relion)")
            # the map is written again, since RELION's header lacks fields that other programs need
            volume = read_volume(path, pixel_size=pixel_size).density
        else:
            volume = aspire_half(optics, particles[particles[HALF] == half], symmetry=symmetry)
        write_mrc(path, volume, pixel_size=pixel_size, dtype=np.float32, note=NOTE + program)


def program_of_halves(paths: Iterable[str | Path]) -> str:
    """Return the program that made all of the half maps: those of two programs cannot be compared.

    Raises
    ------
    UserError
        If two programs made them, since nodes of a cluster differ in what is installed.
    """
    programs = {read_note(path).removeprefix(NOTE) or "an unknown program": path for path in paths}
    if len(programs) > 1:
        made = " and ".join(f"{path} by {program}" for program, path in sorted(programs.items()))
        raise UserError(
            f"resolution/program: half maps of two programs cannot be compared: {made}; name one program in the config"
        )
    return next(iter(programs))


def reconstruct_command(star: str | Path, path: str, *, half: int, symmetry: str, with_ctf: bool) -> list[str]:
    """Return the command line of relion_reconstruct for one half.

    Parameters
    ----------
    star : str or Path
        Star file of the particles.
    path : str
        Map to write.
    half : int
        Number of the half, 1 or 2.
    symmetry : str
        Point group.
    with_ctf : bool
        Whether the CTF is corrected.
    """
    command = [RECONSTRUCT, "--i", str(star), "--o", str(path), "--subset", str(half), "--sym", symmetry]
    return command + ["--ctf"] * with_ctf


def aspire_half(optics: pd.DataFrame, particles: pd.DataFrame, *, symmetry: str) -> np.ndarray:
    """Reconstruct a map (n, n, n) by ASPIRE from centred particles with flipped phases.

    Parameters
    ----------
    optics, particles : DataFrame
        Blocks of a star file, with angles and origins.
    symmetry : str
        Point group, Cn or Dn.
    """
    if symmetry[0].upper() not in "CD":
        raise UserError(
            f"resolution/symmetry: aspire supports Cn and Dn, not {symmetry}; give a subgroup, or install RELION"
        )
    pixel_size = float(optics["rlnImagePixelSize"].iloc[0])
    images, planes = read_images(particles["rlnImageName"]), ctf_of_particles(optics, particles)
    if planes is not None:
        images = flip_phases(images, planes)
    offset_px = particles[list(ORIGIN_LABELS.values())].to_numpy(dtype=float) / pixel_size
    turns = Rotation.from_euler("ZYZ", particles[list(ANGLE_LABELS.values())].to_numpy(dtype=float), degrees=True)
    return back_project(shift_images(images, offset_px), turns.as_matrix(), pixel_size, symmetry)
