"""Folder of a job: the files that tell RELION how the job ended, and a lock against two programs in one folder.

Source: RELION documentation, "External job type"; RELION 3.1 and 5 source, `pipeline_control.h`.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from crisp_core.errors import UserError

SUCCESS, FAILURE, ABORTED = (f"RELION_JOB_EXIT_{end}" for end in ("SUCCESS", "FAILURE", "ABORTED"))
ABORT_NOW = "RELION_JOB_ABORT_NOW"
LOCK = "crisp.lock"


class Aborted(Exception):
    """The user, RELION or a signal ended the job."""


def mark_end(folder: Path, end: str) -> None:
    """Write the empty file `end`, which tells RELION how the job ended."""
    (folder / end).touch()


def clear_marks(folder: Path) -> None:
    """Remove the marks of an earlier call, also a request to abort it."""
    for name in (SUCCESS, FAILURE, ABORTED, ABORT_NOW):
        (folder / name).unlink(missing_ok=True)


def check_abort(folder: Path) -> None:
    """Raise `Aborted` if RELION asks the job to end."""
    if (folder / ABORT_NOW).exists():
        raise Aborted(f"{ABORT_NOW} was found")


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of the folder until this process, and the children that inherit its open files, have ended.

    So while the workflow of a killed job (SIGKILL) still runs, a second job cannot start in the folder.

    Raises
    ------
    UserError
        If another process holds it.
    """
    with (folder / LOCK).open("w") as file:
        os.set_inheritable(file.fileno(), True)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"{folder}: a job of CRISP is running in it; wait for its end, or abort it") from None
        yield
