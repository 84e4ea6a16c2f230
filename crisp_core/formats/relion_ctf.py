"""RELION's STAR files of micrographs with their CTF (`micrographs_ctf.star`).

Source: Zivanov et al. 2020, IUCrJ 7:253 (optics groups); RELION 3.1 and 5 source, `metadata_label.h`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from crisp_core.errors import UserError
from crisp_core.formats.relion_groups import optics_groups
from crisp_core.formats.relion_labels import CTF_LABELS, NAME_LABEL, PHASE_COLUMN, PHASE_LABEL, labelled_ctf
from crisp_core.formats.relion_pixel_sizes import pixel_size_of_micrographs
from crisp_core.formats.star import as_table, numbers_or_nan, read_blocks, write_blocks
from crisp_core.formats.stems import micrograph_stem, paths_of_stems

# columns of `read_ctf_quality`
QUALITY_LABELS = {
    "ctf_resolution_angstrom": "rlnCtfMaxResolution",
    "ctf_figure_of_merit": "rlnCtfFigureOfMerit",
    "defocus_u": "rlnDefocusU",
    "defocus_v": "rlnDefocusV",
}


class MicrographsCtf(NamedTuple):
    """CTF of micrographs, and their optics groups.

    `micrographs` has the columns micrograph (stem), defocus_u_angstrom, defocus_v_angstrom (underfocus positive),
    defocus_angle_deg, perhaps phase_shift_deg, and optics_group. `groups` has rlnOpticsGroupName, rlnOpticsGroup
    (1, 2, …) and the `MICROSCOPE_LABELS` that the file has, in kV, mm and as a fraction.
    """

    micrographs: pd.DataFrame
    groups: pd.DataFrame


def read_micrographs_ctf(path: str | Path) -> MicrographsCtf:
    """Read the CTF of micrographs from RELION's `micrographs_ctf.star` (3.1 and later, or 3.0).

    RELION 3.0 has no optics groups: micrographs of equal microscopes become one group.

    Raises
    ------
    UserError
        If the file cannot be read, lacks a column, has a micrograph twice, or optics groups that do not fit its
        micrographs.

    Notes
    -----
    Text and infinity are NaN, so that one micrograph without a CTF estimate does not make the file useless.
    """
    blocks, micrographs = _blocks_of_micrographs(path)
    labels = CTF_LABELS | ({PHASE_LABEL: PHASE_COLUMN} if PHASE_LABEL in micrographs else {})
    stems = pd.Series([micrograph_stem(name) for name in micrographs[NAME_LABEL]], dtype="str")
    if stems.duplicated().any():
        stem = stems[stems.duplicated()].iloc[0]
        raise UserError(f"{path}: has two lines for micrograph {stem}; give a file with one line per micrograph")
    numbers = {column: numbers_or_nan(path, micrographs, label) for label, column in labels.items()}
    groups, group_of = optics_groups(path, blocks.get("optics"), micrographs)
    return MicrographsCtf(pd.DataFrame({"micrograph": stems, **numbers, "optics_group": group_of}), groups)


def read_ctf_quality(path: str | Path) -> pd.DataFrame:
    """Quality of the CTF fits in a `micrographs_ctf.star`.

    Returns
    -------
    pd.DataFrame
        In the order of the file: micrograph (stem), ctf_resolution_angstrom, ctf_figure_of_merit, mean
        defocus_angstrom, and astigmatism_angstrom (their difference); NaN where the file has no such column or number.

    Raises
    ------
    UserError
        If the file cannot be read, or has no micrographs.
    """
    _, micrographs = _blocks_of_micrographs(path)
    found = {
        column: numbers_or_nan(path, micrographs, label) if label in micrographs else np.full(len(micrographs), np.nan)
        for column, label in QUALITY_LABELS.items()
    }
    u, v = found.pop("defocus_u"), found.pop("defocus_v")
    stems = pd.Series([micrograph_stem(name) for name in micrographs[NAME_LABEL]], dtype="str")
    return pd.DataFrame(
        {"micrograph": stems, **found, "defocus_angstrom": (u + v) / 2, "astigmatism_angstrom": np.abs(u - v)}
    )


def read_ctf_sources(path: str | Path) -> pd.DataFrame:
    """Image files from which the CTFs of a `micrographs_ctf.star` were estimated.

    Returns
    -------
    pd.DataFrame
        In the order of `read_micrographs_ctf`: micrograph (stem), file (as the STAR file names it) and pixel_size,
        Å/px of that file, NaN where the STAR file does not state it.

    Raises
    ------
    UserError
        If the file cannot be read, or has no micrographs.
    """
    blocks, micrographs = _blocks_of_micrographs(path)
    files = micrographs[NAME_LABEL].astype("str")
    stems = pd.Series([micrograph_stem(name) for name in files], dtype="str")
    sizes = pixel_size_of_micrographs(path, micrographs, blocks.get("optics"))
    return pd.DataFrame({"micrograph": stems, "file": files.to_numpy(), "pixel_size": sizes})


def _blocks_of_micrographs(path: str | Path) -> tuple[dict[str, pd.DataFrame], pd.DataFrame]:
    """All blocks as tables, and the block that lists micrographs."""
    blocks = {name: as_table(block) for name, block in read_blocks(path).items()}
    micrographs = next((block for block in blocks.values() if NAME_LABEL in block), None)
    if micrographs is None:
        raise UserError(f"{path}: has no column {NAME_LABEL}; give the star file of RELION's CTF job")
    return blocks, micrographs


def write_micrographs_ctf(
    path: str | Path, ctf: MicrographsCtf, micrograph_paths: Mapping[str, str], *, pixel_size: float
) -> None:
    """Write a `micrographs_ctf.star` of RELION 3.1 and later; `read_micrographs_ctf` reads it back.

    Parameters
    ----------
    path : str or Path
        File to write.
    ctf : MicrographsCtf
        CTF and optics groups.
    micrograph_paths : Mapping[str, str]
        Path of each micrograph, by stem.
    pixel_size : float
        Å/px of the micrographs.

    Raises
    ------
    UserError
        If a micrograph has no path, or a STAR file cannot hold a name.
    """
    table = ctf.micrographs
    sizes = dict.fromkeys(("rlnMicrographOriginalPixelSize", "rlnMicrographPixelSize"), float(pixel_size))
    names = pd.Series(paths_of_stems(table["micrograph"], micrograph_paths), dtype="str")
    numbers = table["optics_group"].to_numpy(dtype=int)
    micrographs = pd.DataFrame({NAME_LABEL: names, "rlnOpticsGroup": numbers} | labelled_ctf(table))
    write_blocks(path, {"optics": ctf.groups.assign(**sizes), "micrographs": micrographs})
