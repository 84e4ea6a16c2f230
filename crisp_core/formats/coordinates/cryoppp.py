"""Tables of the CryoPPP dataset: X-Coordinate, Y-Coordinate, Diameter."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from crisp_core.formats.coordinates.format import CoordinateFormat
from crisp_core.formats.coordinates.table import coordinates_table
from crisp_core.formats.coordinates.text_tables import SUFFIXES, column_of_numbers, read_table, write_table

X_COLUMN, Y_COLUMN, DIAMETER_COLUMN = "x-coordinate", "y-coordinate", "diameter"


def accepts_header(columns: Sequence[str]) -> bool:
    """Whether a table with these columns is one of CryoPPP."""
    return {X_COLUMN, Y_COLUMN} <= set(columns)


def read(path: Path, stem: str) -> pd.DataFrame:
    """Read coordinates, with the column diameter_px where the file has diameters."""
    table = read_table(path, (X_COLUMN, Y_COLUMN))
    x, y = (column_of_numbers(path, table, column) for column in (X_COLUMN, Y_COLUMN))
    coordinates = coordinates_table([stem] * len(table), x, y)
    if DIAMETER_COLUMN not in table:
        return coordinates
    return coordinates.assign(diameter_px=column_of_numbers(path, table, DIAMETER_COLUMN))


def write(path: Path, table: pd.DataFrame, size_px: float) -> None:
    """Write coordinates with one diameter for all particles.

    Parameters
    ----------
    path : Path
        File to write.
    table : pd.DataFrame
        Columns micrograph, x, y, score.
    size_px : float
        Particle diameter in pixels.
    """
    columns = {"X-Coordinate": table["x"].to_numpy(float), "Y-Coordinate": table["y"].to_numpy(float)}
    separator = "\t" if path.suffix == ".tsv" else ","
    write_table(path, columns | {"Diameter": size_px}, separator=separator, n_rows=len(table))


CRYOPPP = CoordinateFormat(
    name="cryoppp",
    description="`.csv` of CryoPPP with X-Coordinate, Y-Coordinate, Diameter",
    suffixes=SUFFIXES,
    read=read,
    write=write,
    accepts_header=accepts_header,
    needs_size=True,
)
