"""Tables of Topaz: image_name, x_coord, y_coord, score."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from crisp_core.formats.coordinates.checks import check_no_depth
from crisp_core.formats.coordinates.format import CoordinateFormat
from crisp_core.formats.coordinates.table import COLUMNS, coordinates_table
from crisp_core.formats.coordinates.text_tables import (
    column_of_numbers,
    read_table,
    score_column,
    write_table,
)
from crisp_core.formats.stems import distinct_stems

HEADER = ("image_name", "x_coord", "y_coord")


def accepts_header(columns: Sequence[str]) -> bool:
    """Whether a table with these columns is one of Topaz."""
    return set(HEADER) <= set(columns)


def read(path: Path, stem: str) -> pd.DataFrame:
    """Read the coordinates of many micrographs."""
    table = read_table(path, HEADER)
    check_no_depth(path, table, "z_coord")
    x, y = (column_of_numbers(path, table, column) for column in HEADER[1:])
    return coordinates_table(distinct_stems(table["image_name"]), x, y, score_column(path, table))


def write(path: Path, table: pd.DataFrame, size_px: float) -> None:
    """Write the coordinates of many micrographs, separated by tabs.

    Parameters
    ----------
    path : Path
        File to write.
    table : pd.DataFrame
        Columns micrograph, x, y, score.
    size_px : float
        Not used: the format has no size.
    """
    columns = {name: table[column].to_numpy() for name, column in zip((*HEADER, "score"), COLUMNS, strict=True)}
    write_table(path, columns, separator="\t", n_rows=len(table))


TOPAZ = CoordinateFormat(
    name="topaz",
    description="`.txt` or `.tsv` of Topaz with image_name, x_coord, y_coord, score",
    suffixes=(".txt", ".tsv", ".csv"),
    read=read,
    write=write,
    accepts_header=accepts_header,
    one_micrograph=False,
    score="score",
)
