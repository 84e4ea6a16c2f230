"""STAR files: reading and writing their blocks, through the starfile library.

Written files start with `# version 30001` (RELION 3.1 and later), have LF line ends and no time stamp, so equal tables
give equal bytes.

Source: RELION 3.1 and 5 source, `metadata_table.cpp`.
"""

import linecache
import re
from collections.abc import Mapping
from itertools import islice, takewhile
from pathlib import Path
from typing import TypeAlias, overload

import numpy as np
import pandas as pd
import starfile

from crisp_core.errors import UserError
from crisp_core.formats.star_names import check_name
from crisp_core.formats.text import FLOAT_FORMAT, read_text

VERSION_LINE = "# version 30001"
# Columns of text, also where every cell looks like a number.
TEXT_LABELS = (
    "rlnMicrographName",
    "rlnImageName",
    "rlnMicrographCoordinates",
    "rlnOpticsGroupName",
    "rlnMicrographMovieName",
    "rlnCtfImage",
)
# A value within quotes, or up to the next blank.
VALUE = re.compile(r"""'[^']*'(?=[ \t]|$)|"[^"]*"(?=[ \t]|$)|[^ \t]+""")
# Words of the format at the beginning of a line: a label, a block, a loop or a text of several lines.
KEYWORD = re.compile(r"_|data_|loop_|save_|;", re.IGNORECASE)

Block: TypeAlias = pd.DataFrame | dict[str, object]


def read_blocks(path: str | Path) -> dict[str, Block]:
    """Read every block of a STAR file: loops as tables, single values as dictionaries, keyed by name without `data_`.

    Raises
    ------
    UserError
        If the file cannot be read, holds no block, has a row of another length than its loop has labels, a quote that
        is not closed or a # within a value, two blocks of one name, a block without columns or a label twice in one.
    """
    text = read_text(path)
    _check_block_names(path, text)
    _check_rows(path, text)
    linecache.clearcache()  # starfile reads through it, and after a failed read it would still hold the old text
    try:
        blocks = starfile.read(path, always_dict=True, parse_as_string=list(TEXT_LABELS))
    except (ValueError, TypeError, KeyError, IndexError, OverflowError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path}: is not a valid STAR file ({reason}); correct it or export it again") from None
    if not blocks:
        raise UserError(f"{path}: holds no STAR data block; check that it is a STAR file and not empty")
    for block in blocks.values():
        if isinstance(block, pd.DataFrame) and block.columns.has_duplicates:
            label = block.columns[block.columns.duplicated()][0]
            raise UserError(f"{path}: a block has the label {label} twice; remove one of the two columns")
    return {name: _with_apostrophes(block) for name, block in blocks.items()} if "'" in text else blocks


def _with_apostrophes(block: Block) -> Block:
    """Block with the apostrophes within values, in place of which the starfile library puts double quotes."""
    if not isinstance(block, pd.DataFrame):
        return block

    def restored(value: object) -> object:
        """Value of a cell; in a column of several types, some are numbers."""
        return value.replace('"', "'") if isinstance(value, str) else value

    return block.assign(**{column: block[column].map(restored) for column in block.select_dtypes(["object", "str"])})


def _check_block_names(path: str | Path, text: str) -> None:
    """Refuse blocks that the starfile library loses: all but the last of one name, and those without columns."""
    blocks = re.split(r"^[ \t]*data_", text, flags=re.MULTILINE)[1:]
    names = [(block.split(None, 1) or [""])[0] if block[:1].strip() else "" for block in blocks]
    for name, block in zip(names, blocks, strict=True):
        if names.count(name) > 1:
            raise UserError(
                f"{path}: holds {names.count(name)} blocks named data_{name}, of which a reader sees one; "
                "give the files that were joined one by one, or name each block after its micrograph"
            )
        if not re.search(r"^[ \t]*(loop_|_)", block, flags=re.MULTILINE):
            raise UserError(
                f"{path}: block data_{name} has no columns; export the file again, or remove it (a list without "
                "particles still names its columns _rlnCoordinateX and _rlnCoordinateY)"
            )


def _check_rows(path: str | Path, text: str) -> None:
    """Refuse rows that the starfile library would fill up with NaN or cut: short ones, and quotes and # in values."""
    n_labels, in_header, in_rows = 0, False, False
    for number, line in enumerate(map(str.strip, text.split("\n")), 1):
        if line.startswith("data_"):
            in_header = in_rows = False
        elif not in_rows and line.startswith("loop_"):
            n_labels, in_header = 0, True
        elif in_header and line.startswith("_"):
            n_labels += 1
        elif (in_header or in_rows) and line:
            in_header, in_rows = False, True
            if (n := _count_values(path, number, line, has_apostrophes="'" in text)) not in (0, n_labels):
                likely = "the file may be cut off" if n < n_labels else "a name may have a blank"
                raise UserError(
                    f"{path}: line {number} has {n} value{'s' * (n != 1)} and not {n_labels}, as its loop has labels; "
                    f"{likely}: correct the line, or export the file again"
                )


def _count_values(path: str | Path, number: int, line: str, *, has_apostrophes: bool) -> int:
    """Number of values of a row, without a comment at its end; values are separated by blanks and tabs alone."""
    if line.isascii() and not re.search("[\"'#]", line):
        return len(line.split())
    values = list(takewhile(lambda value: not value.startswith("#"), VALUE.findall(line)))
    for value in values:
        is_quoted = len(value) > 1 and value[0] in "\"'" and value[-1] == value[0]
        # of these, the starfile library makes something else: it puts double quotes in place of apostrophes
        wrong = "[\"']" if is_quoted else "^[\"']|#" + ('|"' if has_apostrophes else "")
        if found := re.search(wrong, value[1:-1] if is_quoted else value):
            raise UserError(
                f"{path}: line {number} has the value {value}, of which {found[0]} cannot be read; rename it"
            )
    return len(values)


@overload
def as_table(block: Block) -> pd.DataFrame: ...


@overload
def as_table(block: None) -> None: ...


def as_table(block: Block | None) -> pd.DataFrame | None:
    """Return a block as a table, single values as one row; None for a missing block."""
    return pd.DataFrame([block]) if isinstance(block, dict) else block


def has_label(path: str | Path, label: str, *, n_blocks: int = 1) -> bool:
    """Whether a STAR file has a column `label` in at least `n_blocks` blocks; False if it cannot be read.

    Only lines are compared, so that thousands of files are looked at in a moment.

    Parameters
    ----------
    path : str or Path
        STAR file.
    label : str
        Label without the underscore.
    n_blocks : int
        Minimum number of blocks with this label.
    """
    wanted = f"_{label}".encode()
    try:
        with open(path, "rb") as file:
            found = (1 for line in file if wanted in line and line.split(None, 1)[0] == wanted)
            return sum(islice(found, n_blocks)) == n_blocks
    except OSError:
        return False


def write_blocks(path: str | Path, blocks: Mapping[str, Block]) -> None:
    """Write blocks to a STAR file.

    Raises
    ------
    UserError
        If a name is one that `check_name` refuses, a line would begin with a word of the format (`data_…`), or a
        table has a label twice.
    """
    for block in blocks.values():
        if isinstance(block, pd.DataFrame):
            _check_table(path, block)
    # The first line is the library's comment with the time of day.
    content = starfile.to_string(dict(blocks), float_format=FLOAT_FORMAT).split("\n", 1)[1].lstrip("\n")
    Path(path).write_text(f"{VERSION_LINE}\n\n{content.rstrip()}\n\n", encoding="utf-8", newline="\n")


def _check_table(path: str | Path, table: pd.DataFrame) -> None:
    if table.columns.has_duplicates:
        label = table.columns[table.columns.duplicated()][0]
        raise UserError(f"{path}: cannot hold the label {label} twice; rename one of the columns")
    for column in table.select_dtypes(["object", "str"]):
        for name in table[column].dropna().unique():
            check_name(path, str(name))
            if column == table.columns[0] and KEYWORD.match(str(name)):
                raise UserError(f"{path}: a line of a STAR file cannot begin with '{name}'; rename it")


def number_column(path: str | Path, table: pd.DataFrame, label: str, *, required: bool = True) -> np.ndarray:
    """Column of a STAR table as floats.

    Parameters
    ----------
    path : str or Path
        The file, for messages.
    table : pd.DataFrame
        One of its tables.
    label : str
        Label of the column.
    required : bool
        Whether every row must have a number; otherwise a missing value is NaN.

    Raises
    ------
    UserError
        If the column is missing, holds text or infinity or, where required, a missing value; the line is named.
    """
    numbers = numbers_or_nan(path, table, label)
    given = np.ones(len(table), dtype=bool) if required else table[label].notna().to_numpy()
    wrong = np.flatnonzero(~np.isfinite(numbers) & given)
    if len(wrong):
        value = str(table[label].iloc[wrong[0]])
        raise UserError(
            f"{path}: {_line_with(path, value)}{label} is '{value}', which is not a number; correct or remove the line"
        )
    return numbers


def numbers_or_nan(path: str | Path, table: pd.DataFrame, label: str) -> np.ndarray:
    """Column of a STAR table as floats, NaN where it holds no finite number.

    Parameters
    ----------
    path : str or Path
        The file, for the message.
    table : pd.DataFrame
        One of its tables.
    label : str
        Label of the column.

    Raises
    ------
    UserError
        If the column is missing.
    """
    if label not in table:
        raise UserError(f"{path}: has no column {label}; export it with that column, or give another file")
    numbers = pd.to_numeric(table[label], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    return np.where(np.isfinite(numbers), numbers, np.nan)


def _line_with(path: str | Path, value: str) -> str:
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if value in line.split():
            return f"line {number}: "
    return ""
