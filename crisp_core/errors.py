"""The one error that a user can mend, and its wording for files that cannot be opened."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class UserError(Exception):
    """Bad input or setting: one line that names the file or key and the cure."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


@contextmanager
def opening(path: str | Path) -> Iterator[None]:
    """Turn the system's refusal to open `path` into a UserError."""
    try:
        yield
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; check the path") from None
    except PermissionError:
        raise UserError(f"{path}: permission denied; make the file readable (chmod u+r)") from None
    except IsADirectoryError:
        raise UserError(f"{path}: is a directory; name the files in it") from None
