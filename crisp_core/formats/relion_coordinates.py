"""RELION's STAR files of coordinates, and CRISP's own picks, which are such files.

Source: RELION 3.1 and 5 source, `metadata_label.h`.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from crisp_core.errors import UserError
from crisp_core.formats.coordinates.table import COLUMNS, NO_SCORE, coordinates_table
from crisp_core.formats.relion_labels import NAME_LABEL, SCORE_LABEL, X_LABEL, Y_LABEL
from crisp_core.formats.star import Block, as_table, number_column, read_blocks, write_blocks
from crisp_core.formats.stems import distinct_stems

# Columns of a star file whose rows are not single particles of a micrograph.
HELICAL_LABELS = ("rlnHelicalTubeID", "rlnHelicalTrackLengthAngst")
TOMOGRAM_LABELS = (
    "rlnCoordinateZ",
    "rlnTomoName",
    "rlnTomoParticleName",
    "rlnTomoParticleId",
    "rlnCenteredCoordinateZAngst",
)


def write_coordinates_star(path: str | Path, table: pd.DataFrame) -> None:
    """Write the picks of many micrographs, in full-resolution pixels.

    A missing score becomes −999. Coordinates and scores keep nine significant digits. Columns beyond the four of
    `COLUMNS` keep their names.

    Raises
    ------
    UserError
        If a STAR file cannot hold a micrograph's name.
    """
    standard = pd.DataFrame(
        {
            X_LABEL: table["x"].astype(float),
            Y_LABEL: table["y"].astype(float),
            NAME_LABEL: table["micrograph"].astype(str),
            SCORE_LABEL: table["score"].astype(float).fillna(NO_SCORE),
        }
    )
    more = table.drop(columns=list(COLUMNS))
    write_blocks(path, {"particles": pd.concat([standard, more], axis=1)})


def read_coordinates_star(path: str | Path) -> pd.DataFrame:
    """Read a file of `write_coordinates_star`: micrograph, x, y, score and the columns beyond.

    Raises
    ------
    UserError
        If the file cannot be read, lacks a column or has text in a column of numbers.
    """
    picks = read_blocks(path).get("particles")
    if not isinstance(picks, pd.DataFrame):
        raise UserError(f"{path}: has no block data_particles; delete it and run the workflow again")
    return coordinates_of_block(path, picks, keep_more=True)


def read_coordinates_stars(paths: Iterable[str | Path]) -> pd.DataFrame:
    """Read several star files, such as those of all batches, as one table; there is at least one file."""
    return pd.concat([read_coordinates_star(path) for path in paths], ignore_index=True)


def coordinates_block(path: str | Path, blocks: Mapping[str, Block]) -> pd.DataFrame:
    """Return the rows of a STAR file that are particles on micrographs.

    Parameters
    ----------
    path : str or Path
        The file, for messages.
    blocks : mapping of str to table or dictionary
        Result of `read_blocks`. Several blocks of coordinates are joined; if they do not name micrographs, each block's
        own name is its micrograph (`data_mic0`).

    Raises
    ------
    UserError
        If no block has coordinates, only some of several name micrographs, or the rows are of filaments or tomograms.
    """
    # a block of one row may come without loop_, as single values
    tables = {name: as_table(block) for name, block in blocks.items()}
    for table in tables.values():
        _check_single_particles(path, table)
    found = {name: table for name, table in tables.items() if X_LABEL in table}
    if not found:
        raise UserError(f"{path}: has no column {X_LABEL}; export it with that column, or give a star file of picks")
    named = [NAME_LABEL in table for table in found.values()]
    if len(found) > 1 and not any(named):
        found = {name: table.assign(**{NAME_LABEL: name}) for name, table in found.items()}
    elif not all(named) and len(found) > 1:
        raise UserError(
            f"{path}: some of its {len(found)} blocks of coordinates have the column {NAME_LABEL} and others don't; "
            "add it to all, or give one file per micrograph"
        )
    return pd.concat(found.values(), ignore_index=True)


def _check_single_particles(path: str | Path, table: pd.DataFrame) -> None:
    for labels, kind in ((HELICAL_LABELS, "filaments"), (TOMOGRAM_LABELS, "tomograms")):
        for label in labels:
            # some programs write the column with zeros only
            if label in table and not table[label].isin([0, "0"]).mask(table[label].isna(), True).all():
                raise UserError(
                    f"{path}: has the column {label}, so its rows belong to {kind}, which CRISP does not pick; "
                    "give coordinates of single particles on micrographs"
                )


def coordinates_of_block(
    path: str | Path, block: pd.DataFrame, *, micrograph: str | None = None, keep_more: bool = False
) -> pd.DataFrame:
    """Return micrograph, x, y, score of a STAR table with rlnCoordinateX and rlnCoordinateY.

    Parameters
    ----------
    path : str or Path
        The file, for messages.
    block : pd.DataFrame
        Table of particles or picks. rlnAutopickFigureOfMerit is the score; without it, or where it is −999, NaN.
    micrograph : str, optional
        The micrograph of every row; without it, the stem of rlnMicrographName.
    keep_more : bool
        Keep the other columns under their own names.

    Raises
    ------
    UserError
        If a column is missing or has text in a column of numbers.
    """
    x, y = (number_column(path, block, label) for label in (X_LABEL, Y_LABEL))
    score = np.full(len(block), np.nan)
    if SCORE_LABEL in block:
        score = number_column(path, block, SCORE_LABEL, required=False)
    if micrograph is None and NAME_LABEL not in block:
        raise UserError(f"{path}: has no column {NAME_LABEL}; export it with that column, or give another file")
    names = distinct_stems(block[NAME_LABEL]) if micrograph is None else [micrograph] * len(block)
    table = coordinates_table(names, x, y, score)
    more = block.drop(columns=[X_LABEL, Y_LABEL, SCORE_LABEL, NAME_LABEL], errors="ignore").reset_index(drop=True)
    return pd.concat([table, more], axis=1) if keep_more else table
