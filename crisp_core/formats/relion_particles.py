"""RELION's STAR files of particles (blocks data_optics and data_particles).

Source: Zivanov et al. 2020, IUCrJ 7:253 (optics groups); RELION 3.1 and 5 source, `metadata_label.h`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from crisp_core.errors import UserError
from crisp_core.formats.coordinates.table import NO_SCORE
from crisp_core.formats.relion_labels import labelled_ctf, passed_on
from crisp_core.formats.star import write_blocks
from crisp_core.formats.stems import paths_of_stems


def particles_table(
    coordinates: pd.DataFrame,
    *,
    stack: str,
    micrograph_paths: Mapping[str, str],
    ctf: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Particles of one stack, in the order of the stack; tables of several stacks can be concatenated.

    Parameters
    ----------
    coordinates : pd.DataFrame
        Columns micrograph, x, y (full-resolution pixels, top-left), score; sizes and shapes are passed on.
    stack : str
        Path of the `.mrcs` file, relative to the project directory.
    micrograph_paths : Mapping[str, str]
        Path of each micrograph, by stem.
    ctf : pd.DataFrame, optional
        `micrographs` of a `MicrographsCtf`: every particle gets the CTF columns of its micrograph and its
        optics_group, or 1 if the table has no groups.

    Raises
    ------
    UserError
        If a micrograph has no path or no CTF.
    """
    micrographs = coordinates["micrograph"].astype(str)
    rows = None if ctf is None else _ctf_rows(micrographs, ctf)
    groups = None if rows is None or "optics_group" not in rows else rows["optics_group"].to_numpy(dtype=int)
    table = pd.DataFrame(
        {
            "rlnCoordinateX": coordinates["x"].to_numpy(dtype=float),
            "rlnCoordinateY": coordinates["y"].to_numpy(dtype=float),
            "rlnImageName": [f"{i:06d}@{stack}" for i in range(1, len(coordinates) + 1)],
            "rlnMicrographName": paths_of_stems(micrographs, micrograph_paths),
            "rlnOpticsGroup": 1 if groups is None else groups,
            "rlnAutopickFigureOfMerit": coordinates["score"].fillna(NO_SCORE).to_numpy(dtype=float),
        }
    )
    table = table.assign(**passed_on(coordinates))
    return table if rows is None else table.assign(**labelled_ctf(rows))


def _ctf_rows(micrographs: pd.Series, ctf: pd.DataFrame) -> pd.DataFrame:
    missing = set(micrographs) - set(ctf["micrograph"])
    if missing:
        raise UserError(
            f"CTF table: has no line for micrograph {min(missing)} ({len(missing)} in all); "
            "give a micrographs_ctf.star that has every micrograph, or none"
        )
    return ctf.set_index("micrograph").loc[micrographs]


def joined_particles(batches: Sequence[Mapping[str, pd.DataFrame]]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Optics and particles of several files with the blocks optics and particles, each with its own optics groups.

    Groups of one name are joined, and numbered 1, 2, … in the order of the particles; groups without particles are left
    out.
    """
    batches = [batch for batch in batches if len(batch["particles"])] or batches[:1]
    optics = pd.concat([batch["optics"] for batch in batches]).drop_duplicates("rlnOpticsGroupName")
    names = [
        batch["particles"]["rlnOpticsGroup"].map(batch["optics"].set_index("rlnOpticsGroup")["rlnOpticsGroupName"])
        for batch in batches
    ]
    group_of = pd.concat(names, ignore_index=True)
    order = list(dict.fromkeys(group_of)) or batches[0]["optics"]["rlnOpticsGroupName"].tolist()
    numbers = {name: number for number, name in enumerate(order, start=1)}
    used = optics.set_index("rlnOpticsGroupName", drop=False).loc[order].reset_index(drop=True)
    particles = pd.concat([batch["particles"] for batch in batches], ignore_index=True)
    return (
        used.assign(rlnOpticsGroup=list(numbers.values())),
        particles.assign(rlnOpticsGroup=group_of.map(numbers).astype(int)),
    )


def write_particles_star(path: str | Path, optics: pd.DataFrame, particles: pd.DataFrame) -> None:
    """Write `data_optics` and `data_particles`.

    Parameters
    ----------
    path : str or Path
        File to write.
    optics, particles : pd.DataFrame
        Tables under RELION's labels.

    Raises
    ------
    UserError
        If RELION cannot read a name or label, or two particles have the same image.
    """
    if particles["rlnImageName"].duplicated().any():
        name = particles.loc[particles["rlnImageName"].duplicated(), "rlnImageName"].iloc[0]
        raise UserError(f"{path}: two particles have the image {name}; give every batch its own stack")
    write_blocks(path, {"optics": optics, "particles": particles})
