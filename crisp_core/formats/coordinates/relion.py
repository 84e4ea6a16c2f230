"""RELION's star files: the picks of one micrograph, and the particles of many."""

from pathlib import Path

import pandas as pd

from crisp_core.formats.coordinates.format import CoordinateFormat
from crisp_core.formats.coordinates.table import COLUMNS
from crisp_core.formats.relion_autopick import autopick_table
from crisp_core.formats.relion_coordinates import coordinates_block, coordinates_of_block, write_coordinates_star
from crisp_core.formats.relion_labels import NAME_LABEL, X_LABEL
from crisp_core.formats.star import has_label, read_blocks, write_blocks

SCORE = "rlnAutopickFigureOfMerit, −999 for none"


def read_star(path: Path, stem: str) -> pd.DataFrame:
    """Read picks or particles; rows without rlnMicrographName belong to the micrograph `stem`."""
    block = coordinates_block(path, read_blocks(path))
    return coordinates_of_block(path, block, micrograph=None if NAME_LABEL in block else stem)


def write_picks_star(path: Path, table: pd.DataFrame, size_px: float) -> None:
    """Write the picks of one micrograph.

    Parameters
    ----------
    path : Path
        File to write.
    table : pd.DataFrame
        Columns micrograph, x, y, score.
    size_px : float
        Not used: the format has no size.
    """
    write_blocks(path, {"": autopick_table(table)})


def write_particles(path: Path, table: pd.DataFrame, size_px: float) -> None:
    """Write the coordinates of many micrographs as the block data_particles.

    Parameters
    ----------
    path : Path
        File to write.
    table : pd.DataFrame
        Columns micrograph, x, y, score.
    size_px : float
        Not used: the format has no size.
    """
    write_coordinates_star(path, table[list(COLUMNS)])


def names_micrographs(path: Path) -> bool:
    """Whether a star file names its micrographs; several blocks of coordinates are named after their micrographs."""
    return has_label(path, NAME_LABEL) or has_label(path, X_LABEL, n_blocks=2)


RELION = CoordinateFormat(
    name="relion",
    description="`<stem>_autopick.star` of RELION, any star file with rlnCoordinateX and rlnCoordinateY",
    suffixes=(".star",),
    read=read_star,
    write=write_picks_star,
    names_micrographs=names_micrographs,
    score=SCORE,
)
RELION_PARTICLES = CoordinateFormat(
    name="relion-particles",
    description="star file of particles of RELION 3.0, 3.1, 5, any number of optics groups",
    suffixes=(".star",),
    read=read_star,
    write=write_particles,
    one_micrograph=False,
    holds_blanks=False,
    score=SCORE,
)
