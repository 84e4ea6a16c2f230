"""Particles of refinements, for the comparison of resolutions: poses, CTF and half sets, and checks of their optics."""

import logging
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from crisp_core.datasets.pixel_sizes import equal_pixel_sizes
from crisp_core.errors import UserError
from crisp_core.evaluation.particle_sets import RLN_ANGLES, RLN_ORIGINS, SET, TRUE
from crisp_core.formats.coordinates.names import matched_column
from crisp_core.formats.cs_files import LOCATION_FIELDS, read_cs, text_field
from crisp_core.formats.poses import ANGLE_LABELS, CRYOSPARC_CURE, ORIGIN_LABELS, read_poses
from crisp_core.formats.relion_coordinates import coordinates_block
from crisp_core.formats.relion_groups import group_numbers, with_only_group
from crisp_core.formats.relion_labels import CTF_LABELS, MICROSCOPE_LABELS, MOVIE_PIXEL_SIZE_LABEL, PHASE_LABEL
from crisp_core.formats.relion_pixel_sizes import stated_micrograph_pixel_sizes
from crisp_core.formats.star import as_table, number_column, read_blocks
from crisp_core.formats.tiff import TIFF_SUFFIXES
from crisp_core.reconstruction.half_maps import HALF

# Fields of a .cs file that have the microscope.
CRYOSPARC_MICROSCOPE = {
    "rlnVoltage": "ctf/accel_kv",
    "rlnSphericalAberration": "ctf/cs_mm",
    "rlnAmplitudeContrast": "ctf/amp_contrast",
}
log = logging.getLogger("crisp")

# fewer particles may be in one half set by chance
LEAST_PARTICLES = 20


def refined_sets(
    paths: Mapping[str, str], micrographs: list[str], *, pixel_size: float, microscope: Mapping[str, float]
) -> pd.DataFrame:
    """Read the particles of several refinements as one table with the column `SET`, after `check_optics` of each.

    Parameters
    ----------
    paths : mapping of set to str
        Files as in `refined_particles`.
    micrographs : list of str
        Micrographs of the dataset.
    pixel_size : float
        Å/px of the dataset's micrographs.
    microscope : mapping of str to float
        Microscope of the dataset, as in `check_optics`.
    """
    for path in paths.values():
        check_optics(path, micrographs, pixel_size=pixel_size, microscope=microscope)
    return join_sets({name: refined_particles(path, micrographs) for name, path in paths.items()})


def refined_particles(path: str | Path, micrographs: list[str]) -> pd.DataFrame:
    """Read the particles of a refinement on the micrographs of a dataset.

    Parameters
    ----------
    path : str or Path
        Star file of RELION, or `.cs` file of cryoSPARC with alignments3D, location and, for the CTF, ctf.
    micrographs : list of str
        Micrographs of the dataset; particles on other micrographs are left out.

    Returns
    -------
    DataFrame
        Columns micrograph, x, y, score, RELION's angles, origins and, if the file has them, CTF and half sets.

    Raises
    ------
    UserError
        If the file is unreadable, lacks a column, or has none of the micrographs.
    """
    poses = read_poses(path)
    # whole pixels; as fractions in the single precision of cryoSPARC, 1234 would come back as 1233.9999
    table = poses[["x", "y"]].round(3).apply(np.trunc).assign(score=np.nan, **{TRUE: 1})
    table[RLN_ANGLES], table[RLN_ORIGINS] = poses[list(ANGLE_LABELS)], poses[list(ORIGIN_LABELS)]
    more = _extra_columns_of_cryosparc(path) if Path(path).suffix.lower() == ".cs" else _extra_columns_of_star(path)
    if not CTF_LABELS.keys() <= more.keys():
        log.warning("%s: has no defocus; the CTF is not corrected", path)
    table = table.assign(**more)
    table.insert(0, "micrograph", matched_column(poses["micrograph"], micrographs, source=path, skip_doubtful=True))
    table = table[table["micrograph"] != ""]
    check_halves(path, table)
    return table


def check_halves(path: str | Path, particles: pd.DataFrame) -> None:
    """Refuse half sets one of which has less than a tenth of the particles, as in files that lost their half sets."""
    if HALF not in particles or len(particles) < LEAST_PARTICLES or not particles[HALF].isin([1, 2]).all():
        return
    n_first = int((particles[HALF] == 1).sum())
    n_second = len(particles) - n_first
    if min(n_first, n_second) < len(particles) / 10:
        raise UserError(
            f"{path}: half set 1 has {n_first} and half set 2 has {n_second} particles (RELION's {HALF}, cryoSPARC's "
            "alignments3D/split); give the particles of a refinement with both"
        )


def check_optics(
    path: str | Path, micrographs: list[str], *, pixel_size: float, microscope: Mapping[str, float]
) -> None:
    """Refuse a refinement if its particles on the dataset's micrographs state another pixel size or microscope.

    Parameters
    ----------
    path : str or Path
        File of `refined_particles`.
    micrographs : list of str
        Micrographs of the dataset.
    pixel_size : float
        Å/px of the dataset's micrographs. Another pixel size of the movies alone is logged.
    microscope : mapping of str to float
        voltage_kv, spherical_aberration_mm and amplitude_contrast of the dataset.

    Raises
    ------
    UserError
        If a value differs: by more than 1 % for the pixel size, by more than 0.1 % for others.
    """
    is_cs = Path(path).suffix.lower() == ".cs"
    sizes, stated = (_optics_of_cryosparc if is_cs else _optics_of_star)(path, micrographs)
    for size, label in sizes.items():
        if not equal_pixel_sizes(size, pixel_size):
            line = f"{path}: its {label} states {size:g} Å/px, the dataset's pixel_size is {pixel_size:g}"
            if label != MOVIE_PIXEL_SIZE_LABEL:
                raise UserError(f"{line}; refine particles of its micrographs, or correct pixel_size")
            log.warning("%s; check that the coordinates count pixels of the dataset's micrographs", line)
    for label, key in MICROSCOPE_LABELS.items():
        others = [value for value in stated.get(label, ()) if not math.isclose(value, microscope[key], rel_tol=1e-3)]
        if others:
            raise UserError(
                f"{path}: its {label} is {others[0]:g}, the dataset's {key} is {microscope[key]:g}; correct the wrong "
                "one"
            )


def check_inside(n_outside: int, n: int) -> None:
    """Refuse particles of which more than a tenth lie outside of their micrographs."""
    if n_outside > n / 10:
        raise UserError(
            f"resolution/refined: {n_outside} of {n} particles lie outside of their micrographs; give particles whose "
            "coordinates count pixels of the dataset's micrographs"
        )


def join_sets(refined: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Join results of `refined_particles` of several sets in one table with the column `SET`.

    Particles of sets without half sets have the half set 0.

    Raises
    ------
    UserError
        If only some sets have a defocus: their resolutions would not be comparable.
    """
    joined = pd.concat([table.assign(**{SET: name}) for name, table in refined.items()], ignore_index=True)
    without = joined[joined.get("rlnDefocusU", pd.Series(0.0, joined.index)).isna()]
    if len(without):
        raise UserError(
            f"resolution/refined/{without[SET].iloc[0]}: has no defocus, but other sets do; "
            "export it with its CTF, or compare it alone"
        )
    return joined.fillna({HALF: 0, PHASE_LABEL: 0.0})


def _optics_of_star(path: str | Path, micrographs: list[str]) -> tuple[dict[float, str], dict[str, list[float]]]:
    """Stated pixel sizes of the micrographs with their labels, and values by label of the microscope."""
    blocks = read_blocks(path)
    table, optics = coordinates_block(path, blocks), as_table(blocks.get("optics"))
    matched = matched_column(table["rlnMicrographName"].astype(str), micrographs, source=path, skip_doubtful=True)
    table = with_only_group(path, optics, table[matched != ""])
    sizes = stated_micrograph_pixel_sizes(path, table, optics)
    if optics is not None and "rlnOpticsGroup" in table:
        numbers, group_of = group_numbers(path, optics, table)
        table = optics[numbers.isin(group_of).to_numpy()]
    given = [label for label in MICROSCOPE_LABELS if label in table]
    return sizes, {label: np.unique(number_column(path, table, label)).tolist() for label in given}


def _optics_of_cryosparc(path: str | Path, micrographs: list[str]) -> tuple[dict[float, str], dict[str, list[float]]]:
    """The same of a .cs file; cryoSPARC writes 0 for what it does not know."""
    rows = read_cs(path, LOCATION_FIELDS, cure=CRYOSPARC_CURE)
    names = pd.Series(text_field(rows, "location/micrograph_path"))
    rows = rows[(matched_column(names, micrographs, source=path, skip_doubtful=True) != "").to_numpy()]
    fields = {"pixel size": "location/micrograph_psize_A", **CRYOSPARC_MICROSCOPE}
    stated = {
        label: np.unique(rows[field][rows[field] > 0].astype(float)).tolist()
        for label, field in fields.items()
        if field in (rows.dtype.names or ())
    }
    return dict.fromkeys(stated.pop("pixel size", []), fields["pixel size"]), stated


def _extra_columns_of_star(path: str | Path) -> dict[str, np.ndarray]:
    table = coordinates_block(path, read_blocks(path))
    tiff = [name for name in table["rlnMicrographName"].astype(str).unique() if name.lower().endswith(TIFF_SUFFIXES)]
    if tiff:
        raise UserError(
            f"{path}: its particles are on {tiff[0]}, which RELION reads upside down, so that positions, angles and "
            "CTF do not fit; extract and refine from results/<dataset>/micrographs/*.mrc"
        )
    labels = (*CTF_LABELS, PHASE_LABEL, HALF)
    return {label: number_column(path, table, label) for label in labels if label in table}


def _extra_columns_of_cryosparc(path: str | Path) -> dict[str, np.ndarray]:
    rows = read_cs(path, LOCATION_FIELDS, cure=CRYOSPARC_CURE)
    fields = rows.dtype.names or ()
    more = {}
    if {"ctf/df1_A", "ctf/df2_A", "ctf/df_angle_rad"} <= set(fields):
        defocus = (rows["ctf/df1_A"], rows["ctf/df2_A"], np.degrees(rows["ctf/df_angle_rad"]))
        more = {label: values.astype(float) for label, values in zip(CTF_LABELS, defocus, strict=True)}
    if "ctf/phase_shift_rad" in fields:
        more[PHASE_LABEL] = np.degrees(rows["ctf/phase_shift_rad"].astype(float))
    if "alignments3D/split" in fields:
        more[HALF] = rows["alignments3D/split"].astype(int) + 1
    return more
