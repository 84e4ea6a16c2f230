"""Text files: reading them as UTF-8, and the digits of the numbers that are written."""

from pathlib import Path

from crisp_core.errors import UserError, opening

# Nine significant digits restore every 32-bit number exactly.
FLOAT_FORMAT = "%.9g"


def read_text(path: str | Path) -> str:
    """Return the text of a file (UTF-8).

    Raises
    ------
    UserError
        If the file is missing, has no read permission, or is not a text file.
    """
    try:
        with opening(path):
            return Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(
            f"{path}: is not a text file of UTF-8; check that the path names coordinates or a STAR file, and save a "
            "table of another encoding (UTF-16, Latin-1) as UTF-8"
        ) from None
