"""Names that a STAR file can hold and RELION can read."""

import re
from pathlib import Path

from crisp_core.errors import UserError

# Words that the starfile library or pandas reads as a missing value.
MISSING_VALUES = ("nan", "NaN", "<NA>", "NA", "N/A", "n/a", "NULL", "null", "None")


def check_name(path: str | Path, name: str) -> None:
    """Refuse a name that RELION cannot read in a STAR file.

    Parameters
    ----------
    path : str or Path
        The file, for the message.
    name : str
        Text of one cell.

    Raises
    ------
    UserError
        If it is empty or a dot, has a blank, a quote or #, is a word for a missing value, or has `..` in its path.
    """
    if name in ("", ".") or re.search(r"[\s\"'#\x00-\x1f\x7f]", name):
        raise UserError(f"{path}: a STAR file cannot hold the name '{name}'; rename it without blanks, quotes or #")
    if name in MISSING_VALUES:
        raise UserError(f"{path}: the name '{name}' is read as a missing value in a table; rename it")
    if ".." in re.split(r"[/\\@]", name):
        raise UserError(f"{path}: RELION does not follow '..' in '{name}'; link the files into the project directory")
