"""Orientations by RELION's program relion_refine.

One class is refined by plain expectation-maximisation. The two independent halves of RELION's auto-refinement prevent
overfitting of noise, which does not matter for outlines. Tested with version 3.1.3.

Source: Scheres 2012, J. Struct. Biol. 180:519; Punjani et al. 2017, Nat. Methods 14:290 (stochastic gradient descent).
"""

from pathlib import Path

import numpy as np
import pandas as pd

from crisp_core.formats.mrc import write_mrc
from crisp_core.formats.poses import ANGLE_LABELS, ORIGIN_LABELS
from crisp_core.formats.relion_particles import write_particles_star
from crisp_core.formats.star import read_blocks
from crisp_core.formats.volumes import read_volume
from crisp_core.programs import run_program

PROGRAM = "relion_refine"
INSTALL = "install RELION (Debian: apt install relion), or set labels/source to matching or aspire"
# Iterations of the three phases of stochastic gradient descent, in the proportions of RELION's job, and subset sizes.
SGD_ITERATIONS, SGD_SUBSETS = (25, 50, 25), (100, 300)

# Options of a command line; None for an option without value.
Options = dict[str, object]


def refine_with_relion(
    optics: pd.DataFrame,
    particles: pd.DataFrame,
    volume: np.ndarray | None,
    *,
    folder: str | Path,
    diameter_angstrom: float,
    symmetry: str,
    lowpass_angstrom: float,
    shift_range_angstrom: float,
    iterations: int,
    threads: int,
    seed: int,
) -> tuple[pd.DataFrame, np.ndarray]:
    """Refine orientations with relion_refine.

    Parameters
    ----------
    optics, particles : pd.DataFrame
        Blocks of a RELION 3.1 star file; if they have CTF columns, the CTF is corrected.
    volume : (n, n, n) array or None
        Initial map with the box and pixel size of the particles; without it, RELION makes an initial model.
    folder : str or Path
        Existing, empty folder for RELION's files.
    diameter_angstrom : float
        Diameter of the mask around particles and map, Å.
    symmetry : str
        Point group.
    lowpass_angstrom : float
        Resolution limit of the initial map, Å.
    shift_range_angstrom : float
        Maximum distance of the centre of a particle from its coordinate in the first iteration, Å.
    iterations : int
        Number of iterations.
    threads : int
        Number of threads.
    seed : int
        Seed of the random numbers.

    Returns
    -------
    tuple
        Particles with angles and origins, in their given order, and the map (n, n, n).

    Raises
    ------
    UserError
        If relion_refine is missing or fails.
    """
    folder = Path(folder)
    pixel_size = float(optics["rlnImagePixelSize"].iloc[0])
    write_particles_star(folder / "particles.star", optics, particles)
    common = common_options(
        folder / "particles.star",
        diameter_angstrom=diameter_angstrom,
        symmetry=symmetry,
        shift_range_px=shift_range_angstrom / pixel_size,
        with_ctf="rlnDefocusU" in particles,
        threads=threads,
        seed=seed,
    )
    initial = folder / "initial.mrc"
    if volume is None:
        run_program(command_line(common | {"--o": folder / "sgd"} | initial_model_options()), install=INSTALL)
        initial = folder / f"sgd_it{sum(SGD_ITERATIONS):03d}_class001.mrc"
    else:
        write_mrc(initial, volume, pixel_size=pixel_size, dtype=np.float32)
    options = refinement_options(initial, iterations, lowpass_angstrom, from_relion=volume is None)
    run_program(command_line(common | {"--o": folder / "run"} | options), install=INSTALL)
    last = f"{folder}/run_it{iterations:03d}"
    density = read_volume(f"{last}_class001.mrc", pixel_size=pixel_size).density
    return restore_order(read_blocks(f"{last}_data.star")["particles"], particles), density


def common_options(
    star: Path,
    *,
    diameter_angstrom: float,
    symmetry: str,
    shift_range_px: float,
    with_ctf: bool,
    threads: int,
    seed: int,
) -> Options:
    """Return the options of both runs of RELION.

    Parameters
    ----------
    star : Path
        Star file of the particles.
    diameter_angstrom : float
        Diameter of the mask, Å.
    symmetry : str
        Point group.
    shift_range_px : float
        Maximum distance of the centre of a particle from its coordinate, px.
    with_ctf : bool
        Whether the CTF is corrected.
    threads : int
        Number of threads.
    seed : int
        Seed of the random numbers.
    """
    options: Options = {
        "--i": star,
        "--K": 1,
        "--sym": symmetry,
        "--particle_diameter": f"{diameter_angstrom:g}",
        "--flatten_solvent": None,
        "--zero_mask": None,
        "--oversampling": 1,
        "--offset_range": max(1, round(shift_range_px)),
        "--offset_step": 2,
        "--pool": 30,
        "--preread_images": None,
        "--dont_combine_weights_via_disc": None,
        "--j": threads,
        "--random_seed": seed,
        # in 3.1.3 the perturbation of the shifts remains in the origins: half a px, equal for all particles
        "--perturb": 0,
    }
    return options | ({"--ctf": None} if with_ctf else {})


def initial_model_options() -> Options:
    """Return the options of an initial model by stochastic gradient descent."""
    first, middle, last = SGD_ITERATIONS
    return {
        "--sgd": None,
        "--denovo_3dref": None,
        "--sgd_ini_iter": first,
        "--sgd_inbetween_iter": middle,
        "--sgd_fin_iter": last,
        "--sgd_ini_subset": SGD_SUBSETS[0],
        "--sgd_fin_subset": SGD_SUBSETS[1],
        "--sgd_ini_resol": 35,
        "--sgd_fin_resol": 20,
        "--sgd_write_iter": sum(SGD_ITERATIONS),
        "--healpix_order": 1,
    }


def refinement_options(initial: Path, iterations: int, lowpass_angstrom: float, *, from_relion: bool) -> Options:
    """Return the options of the refinement of one class from a map.

    Parameters
    ----------
    initial : Path
        Initial map.
    iterations : int
        Number of iterations.
    lowpass_angstrom : float
        Resolution limit, Å.
    from_relion : bool
        Whether RELION made the initial map. The grey values of other maps differ, so that the first iteration is by
        correlation.
    """
    options: Options = {
        "--ref": initial,
        "--iter": iterations,
        "--ini_high": f"{lowpass_angstrom:g}",
        # finer detail does not change the outline, and denoised micrographs have artefacts there
        "--strict_highres_exp": f"{lowpass_angstrom:g}",
        "--healpix_order": 2,
        "--norm": None,
        "--scale": None,
    }
    return options | ({} if from_relion else {"--firstiter_cc": None})


def command_line(options: Options) -> list[str]:
    """Return the command line of relion_refine."""
    words = ([option] if value is None else [option, str(value)] for option, value in options.items())
    return [PROGRAM, *(word for pair in words for word in pair)]


def restore_order(refined: pd.DataFrame, particles: pd.DataFrame) -> pd.DataFrame:
    """Add angles and origins of RELION's table, which has another order, to the given particles."""
    rows = refined.set_index("rlnImageName").loc[particles["rlnImageName"]]
    return particles.assign(
        **{label: rows[label].to_numpy(dtype=float) for label in [*ANGLE_LABELS.values(), *ORIGIN_LABELS.values()]}
    )
