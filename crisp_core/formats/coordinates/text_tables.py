"""Tables in text files with a header line: cells separated by commas, tabs or blanks."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from crisp_core.errors import UserError
from crisp_core.formats.text import FLOAT_FORMAT, read_text

SUFFIXES = (".csv", ".tsv", ".txt")


def header_cells(path: str | Path) -> list[str]:
    """Column names in the first line of a text table, in lower case.

    Raises
    ------
    UserError
        If the file cannot be read or its first line is empty.
    """
    lines = read_text(path).splitlines()
    if not lines or not lines[0].strip():
        raise UserError(
            f"{path}: has no header line; write one (for instance 'x,y'), also where there are no particles"
        )
    return [cell.strip().lower() for cell in _split(path, lines[0], _separator(lines[0]))]


def read_table(path: str | Path, columns: Sequence[str]) -> pd.DataFrame:
    """Read a text table as text, with column names in lower case; the index is the number of the line in the file.

    Parameters
    ----------
    path : str or Path
        File with a header line.
    columns : sequence of str
        Columns that it must have.

    Raises
    ------
    UserError
        If the file cannot be read, lacks a column, has one twice, or has rows of different lengths.
    """
    header = header_cells(path)
    missing = [column for column in columns if column not in header]
    if missing:
        raise UserError(f"{path}: has no column {missing[0]} (it has {' '.join(header)}); name it in the first line")
    repeated = [column for column in header if header.count(column) > 1]
    if repeated:
        raise UserError(f"{path}: the first line has the column {repeated[0]} twice; remove one of the two")
    lines = read_text(path).splitlines()
    return read_rows(path, lines[1:], _separator(lines[0]), header, first=2)


def read_rows(
    path: str | Path, lines: Sequence[str], separator: str | None, columns: Sequence[str], *, first: int
) -> pd.DataFrame:
    """Split lines into cells of text; the index is the number of the line in the file.

    Parameters
    ----------
    path : str or Path
        The file, for messages.
    lines : sequence of str
        Its lines; empty ones are skipped.
    separator : str, optional
        Character between cells; None for blanks and tabs.
    columns : sequence of str
        Names of the columns.
    first : int
        Number of the first of these lines in the file.

    Raises
    ------
    UserError
        If a line has another number of cells.
    """
    rows = {n: _split(path, line, separator) for n, line in enumerate(lines, start=first) if line.strip()}
    for number, row in rows.items():
        if len(row) != len(columns):
            raise UserError(
                f"{path}: line {number} has {len(row)} columns and not {len(columns)}; correct or remove the line"
            )
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(columns), dtype="str")


def column_of_numbers(path: str | Path, table: pd.DataFrame, column: str, *, required: bool = True) -> np.ndarray:
    """Column of a text table as floats.

    Parameters
    ----------
    path : str or Path
        The file, for messages.
    table : pd.DataFrame
        Result of `read_table` or `read_rows`.
    column : str
        Name of the column.
    required : bool
        Whether every row must have a number; otherwise a missing value is NaN.

    Raises
    ------
    UserError
        If a cell is not a finite number; the line is named.
    """
    text = table[column].str.strip()
    numbers = pd.to_numeric(text, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    absent = (
        np.zeros(len(table), dtype=bool) if required else text.str.lower().isin(["", "nan", "na", "<na>"]).to_numpy()
    )
    wrong = np.flatnonzero(~np.isfinite(numbers) & ~absent)
    if len(wrong):
        raise UserError(
            f"{path}: line {table.index[wrong[0]]}: {column} is '{text.iloc[wrong[0]]}', which is not a number; "
            "correct or remove the line"
        )
    return numbers


def score_column(path: str | Path, table: pd.DataFrame) -> np.ndarray | None:
    """Column score of a text table as floats, NaN for a missing value; None if the table has no such column."""
    return column_of_numbers(path, table, "score", required=False) if "score" in table else None


def write_table(
    path: str | Path, columns: Mapping[str, object], *, separator: str, header: bool = True, n_rows: int
) -> None:
    """Write a text table with nine significant digits; a missing number is written as nan.

    Parameters
    ----------
    path : str or Path
        File to write.
    columns : mapping of str to values
        One value per row, or one for all rows, by column name.
    separator : str
        Character between cells.
    header : bool
        Whether the first line has the names of the columns.
    n_rows : int
        Number of rows.
    """
    frame = pd.DataFrame(dict(columns), index=range(n_rows))
    frame.to_csv(
        path, sep=separator, header=header, index=False, float_format=FLOAT_FORMAT, na_rep="nan", lineterminator="\n"
    )


def check_names_in_table(path: str | Path, names: pd.Series) -> None:
    """Refuse names of micrographs that a text table cannot hold.

    Raises
    ------
    UserError
        If a name is empty, or has a line break or a zero byte.
    """
    for name in names.unique():
        if not name or len(str(name).splitlines()) > 1 or "\0" in name:
            raise UserError(f"{path}: a table cannot hold the micrograph {name!r}; rename it without line breaks")


def _separator(first_line: str) -> str | None:
    return "," if "," in first_line else "\t" if "\t" in first_line else None


def _split(path: str | Path, line: str, separator: str | None) -> list[str]:
    try:
        return line.split() if separator is None else next(csv.reader([line], delimiter=separator))
    except csv.Error as error:
        raise UserError(f"{path}: has a line that is not a row of a table ({error}); export it again") from None
