"""Plain tables: x, y and perhaps score and micrograph."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from crisp_core.errors import UserError
from crisp_core.formats.coordinates.checks import check_no_depth
from crisp_core.formats.coordinates.format import CoordinateFormat
from crisp_core.formats.coordinates.table import COLUMNS, coordinates_table
from crisp_core.formats.coordinates.text_tables import (
    SUFFIXES,
    column_of_numbers,
    header_cells,
    read_table,
    score_column,
    write_table,
)
from crisp_core.formats.stems import distinct_stems

# names of the column with the micrograph
MICROGRAPH_COLUMNS = ("micrograph", "micrograph_name")
# columns of boxes, whose x and y are corners
BOX_COLUMNS = ("x2", "y2", "xmax", "ymax")


def accepts_header(columns: Sequence[str]) -> bool:
    """Whether a table with these columns is a plain one."""
    return {"x", "y"} <= set(columns)


def names_micrographs(path: Path) -> bool:
    """Whether a table has a column of micrographs."""
    return not set(MICROGRAPH_COLUMNS).isdisjoint(header_cells(path))


def read(path: Path, stem: str) -> pd.DataFrame:
    """Read coordinates; rows of a table without a column of micrographs belong to the micrograph `stem`.

    Raises
    ------
    UserError
        If the table has no x and y, a depth, or columns of boxes.
    """
    table = read_table(path, ("x", "y"))
    check_no_depth(path, table, "z")
    if boxes := [column for column in BOX_COLUMNS if column in table]:
        raise UserError(
            f"{path}: has the column {boxes[0]}, so x and y are corners of boxes; give a table of centres, or EMAN's "
            ".box files"
        )
    column = next((name for name in MICROGRAPH_COLUMNS if name in table), None)
    names = [stem] * len(table) if column is None else distinct_stems(table[column])
    x, y = (column_of_numbers(path, table, column) for column in ("x", "y"))
    return coordinates_table(names, x, y, score_column(path, table))


def write(path: Path, table: pd.DataFrame, size_px: float) -> None:
    """Write the coordinates of many micrographs.

    Parameters
    ----------
    path : Path
        File to write.
    table : pd.DataFrame
        Columns micrograph, x, y, score.
    size_px : float
        Not used: the format has no size.
    """
    columns = {column: table[column].to_numpy() for column in COLUMNS}
    write_table(path, columns, separator="\t" if path.suffix == ".tsv" else ",", n_rows=len(table))


TABLE = CoordinateFormat(
    name="table",
    description="`.csv`, `.tsv`, `.txt` with x, y, and score, micrograph (or micrograph_name) if you have them",
    suffixes=SUFFIXES,
    read=read,
    write=write,
    accepts_header=accepts_header,
    one_micrograph=False,
    names_micrographs=names_micrographs,
    score="score",
)
