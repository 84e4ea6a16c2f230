"""Half maps from particles whose angles are known, by RELION's own program or by ASPIRE."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.spatial.transform import Rotation

from crisp_core.errors import UserError
from crisp_core.formats.images import read_volume, write_mrc
from crisp_core.formats.poses import ANGLES, ORIGINS
from crisp_core.formats.star import CTF_LABELS
from crisp_core.programs import run_program
from crisp_core.reconstruction.aspire_map import back_project
from crisp_core.reconstruction.engines import ctf_of_particles, flip_phases
from crisp_core.reconstruction.stacks import read_images
from crisp_core.simulation.projections import shift_images

PROGRAMS = ("relion", "aspire")
RECONSTRUCT = "relion_reconstruct"
HALF = "rlnRandomSubset"


def choose_program(program: str | None) -> str:
    """The program that reconstructs: the given one, or RELION where it is installed and else ASPIRE.

    Raises
    ------
    UserError
        If RELION is asked for and not installed.
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
    """Reconstruct and write the two half maps.

    Parameters
    ----------
    program : str
        One of `PROGRAMS`. RELION divides by the CTF; ASPIRE gets images whose phases are flipped.
    star : str or Path
        File of the particles, which RELION reads, relative to the working directory as their stacks are.
    optics, particles : DataFrame
        Its blocks.
    paths : two str
        Half maps to write.
    symmetry : str
        Point group; ASPIRE takes Cn and Dn.
    """
    pixel_size = float(optics["rlnImagePixelSize"].iloc[0])
    for half, path in enumerate(paths, start=1):
        if program == "relion":
            with_ctf = CTF_LABELS.keys() <= {*particles}
            command = reconstruct_command(star, path, half=half, symmetry=symmetry, with_ctf=with_ctf)
            run_program(command, install="install RELION (Debian: apt install relion)")
            # its header has the pixel size, and nothing else that other programs miss
            volume = read_volume(path, pixel_size=pixel_size).density
        else:
            volume = aspire_half(optics, particles[particles[HALF] == half], symmetry=symmetry)
        write_mrc(path, volume, pixel_size=pixel_size, dtype=np.float32)


def reconstruct_command(star: str | Path, path: str, *, half: int, symmetry: str, with_ctf: bool) -> list[str]:
    """Command line of relion_reconstruct for one half."""
    command = [RECONSTRUCT, "--i", str(star), "--o", str(path), "--subset", str(half), "--sym", symmetry]
    return command + ["--ctf"] * with_ctf


def aspire_half(optics: pd.DataFrame, particles: pd.DataFrame, *, symmetry: str) -> np.ndarray:
    """Map (n, n, n) of particles by ASPIRE, each moved to the middle of its box, its phases flipped."""
    if symmetry[0].upper() not in "CD":
        raise UserError(
            f"resolution/symmetry: aspire reconstructs with Cn and Dn, not {symmetry}; "
            "give one of its subgroups, or install RELION"
        )
    pixel_size = float(optics["rlnImagePixelSize"].iloc[0])
    images, planes = read_images(particles["rlnImageName"]), ctf_of_particles(optics, particles)
    if planes is not None:
        images = flip_phases(images, planes)
    offset_px = particles[list(ORIGINS.values())].to_numpy(dtype=float) / pixel_size
    turns = Rotation.from_euler("ZYZ", particles[list(ANGLES.values())].to_numpy(dtype=float), degrees=True)
    return back_project(shift_images(images, offset_px), turns.as_matrix(), pixel_size, symmetry)
