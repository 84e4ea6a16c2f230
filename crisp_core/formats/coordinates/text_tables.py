"""Tables in text files: cells separated by commas, tabs or blanks.

Cells of tables with commas or tabs are quoted where they must be. Tables with blanks have no quotes, so their cells
have no blanks.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from crisp_core.errors import UserError
from crisp_core.formats.text import FLOAT_FORMAT, read_text

SUFFIXES = (".csv", ".tsv", ".txt")
# removed by `read_text` at the start of a file
BYTE_ORDER_MARK = "\ufeff"


def header_cells(path: str | Path) -> list[str]:
    """Column names in the first line of a text table, in lower case.

    Raises
    ------
    UserError
        If the file cannot be read or its first line is empty.
    """
    return _header(path, read_text(path).splitlines())


def _header(path: str | Path, lines: Sequence[str]) -> list[str]:
    """Column names of a table's first line, in lower case."""
    if not lines or not lines[0].strip():
        raise UserError(f"{path}: has no header line; write one (for instance 'x,y'), even if it has no particles")
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
    lines = read_text(path).splitlines()
    header = _header(path, lines)
    missing = [column for column in columns if column not in header]
    if missing:
        raise UserError(f"{path}: has no column {missing[0]} (it has {' '.join(header)}); name it in the first line")
    repeated = [column for column in header if header.count(column) > 1]
    if repeated:
        raise UserError(f"{path}: the first line has the column {repeated[0]} twice; remove one of the two")
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
    path: str | Path,
    columns: Mapping[str, object],
    *,
    separator: str,
    header: bool = True,
    first_line: str | None = None,
    n_rows: int,
) -> None:
    """Write a text table with nine significant digits; a missing number is written as nan.

    Parameters
    ----------
    path : str or Path
        File to write.
    columns : mapping of str to values
        One value per row, or one for all rows, by column name.
    separator : str
        Comma, tab or blank between cells.
    header : bool
        Whether a line has the names of the columns.
    first_line : str, optional
        Line before the table that a format demands, such as a comment.
    n_rows : int
        Number of rows.

    Raises
    ------
    UserError
        If `read_rows` would not return a cell as it is: an empty one, one with a line break, or with a blank where
        blanks separate cells.
    """
    frame = pd.DataFrame(dict(columns), index=range(n_rows))
    rows = list(zip(*[_texts(frame[column]) for column in frame], strict=True))
    lines = [_join(path, row, separator) for row in [*([tuple(frame)] if header else []), *rows]]
    text = "".join(f"{line}\n" for line in [*([first_line] if first_line is not None else []), *lines])
    if text.startswith(BYTE_ORDER_MARK):
        raise UserError(f"{path}: a table cannot hold the text {text.split()[0]!r} in its first line; rename it")
    Path(path).write_text(text, encoding="utf-8", newline="\n")


def _separator(first_line: str) -> str | None:
    return "," if "," in first_line else "\t" if "\t" in first_line else None


def _split(path: str | Path, line: str, separator: str | None) -> list[str]:
    try:
        return line.split() if separator is None else next(csv.reader([line], delimiter=separator))
    except csv.Error as error:
        raise UserError(f"{path}: has a line that is not a row of a table ({error}); export it again") from None


def _texts(column: pd.Series) -> list[str]:
    """Cells of a column as they are written."""
    form = FLOAT_FORMAT if column.dtype.kind == "f" else "%s"
    return ["nan" if missing else form % (value,) for value, missing in zip(column, column.isna(), strict=True)]


def _join(path: str | Path, cells: Sequence[str], separator: str) -> str:
    """Line from which `_split` returns the cells."""
    reading = None if separator == " " else separator
    line = _line(cells, reading)
    # the reader skips empty lines
    if not _is_line(line) or not line.strip() or not all(cells) or _split(path, line, reading) != list(cells):
        blanks = [cell for cell in cells if reading is None and cell.split() != [cell]]
        wrong = next((cell for cell in [*blanks, *cells] if cell in blanks or not _is_line(cell)), line)
        raise UserError(
            f"{path}: a table cannot hold the name {wrong!r}; rename it without line breaks"
            f"{' and blanks' if reading is None else ''}"
        )
    return line


def _line(cells: Sequence[str], separator: str | None) -> str:
    if separator is None:
        return " ".join(cells)
    line = io.StringIO()
    csv.writer(line, delimiter=separator, lineterminator="").writerow(cells)
    return line.getvalue()


def _is_line(text: str) -> bool:
    """Whether a text is one line of a text file."""
    return text.splitlines() == [text] and "\0" not in text
