"""Selection from RELION's STAR files of micrographs: the lines of some micrographs, everything else as it was."""

import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

from crisp_core.errors import UserError
from crisp_core.formats.coordinates.names import match_names
from crisp_core.formats.relion_labels import NAME_LABEL
from crisp_core.formats.star import as_table, read_blocks

BLOCK, LABEL = re.compile(r"[ \t]*data_"), re.compile(r"[ \t]*_(\S+)")
# lines that are no row of a table: of the format, empty, or a comment
NO_ROW = re.compile(r"[ \t]*(_|data_|loop_|#|\r?\n?$)")


class Selected(NamedTuple):
    """Number of micrographs that a STAR file lists, and of those that were selected."""

    listed: int
    selected: int


def write_selected_micrographs(
    path: str | Path, source: str | Path, micrographs: Sequence[str], selected: Collection[str]
) -> Selected:
    """Copy a STAR file of micrographs with the rows of some micrographs; every other line stays as it was.

    Parameters
    ----------
    path : str or Path
        File to write.
    source : str or Path
        STAR file with a block of micrographs, such as `micrographs_ctf.star`.
    micrographs : sequence of str
        Stems of the dataset's micrographs, which the names in the file are matched with (`match_names`).
    selected : collection of str
        Those whose rows stay.

    Raises
    ------
    UserError
        If the file cannot be read, or its micrographs are no table with one line per row.
    """
    blocks = (as_table(block) for block in read_blocks(source).values())
    table = next((block for block in blocks if NAME_LABEL in block), None)
    if table is None:
        raise UserError(f"{source}: has no column {NAME_LABEL}; give the star file of RELION's CTF job")
    lines = Path(source).read_bytes().decode("utf-8-sig").splitlines(keepends=True)
    rows = rows_of_micrographs(lines)
    if len(rows) != len(table):
        raise UserError(
            f"{source}: does not have one line per micrograph below loop_; write each row of the table on one line"
        )
    matched = match_names(table[NAME_LABEL].astype(str).tolist(), micrographs, required=False)["micrograph"]
    gone = {row for row, name in zip(rows, matched, strict=True) if name not in selected}
    kept = [line for number, line in enumerate(lines) if number not in gone]
    Path(path).write_bytes("".join(kept).encode())
    return Selected(len(rows), len(rows) - len(gone))


def rows_of_micrographs(lines: Sequence[str]) -> list[int]:
    """Numbers of the lines with the rows of the first block that names micrographs."""
    starts = [number for number, line in enumerate(lines) if BLOCK.match(line)]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        labels = [match[1] for match in map(LABEL.match, lines[start:end]) if match]
        if NAME_LABEL in labels:
            return [number for number in range(start, end) if not NO_ROW.match(lines[number])]
    return []
