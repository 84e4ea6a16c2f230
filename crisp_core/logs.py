"""Logging of a job: to its log file and to the terminal, with a user's error as one line."""

import errno
import logging
import os
import re
import sys
from types import TracebackType

from crisp_core.errors import UserError

DISK_TROUBLES = {
    errno.ENOSPC: "no space left on the disk; free some",
    errno.EDQUOT: "the disk quota is used up; free some space",
    errno.EROFS: "is on a read-only file system; make it writable",
    errno.EACCES: "permission denied; make it writable",
}
# Of libraries that keep the system's number to themselves: PyTorch, NumPy.
WRITE_FAILED = re.compile(r"PytorchStreamWriter|unexpected pos|requested and \d+ written")


def start_log(path: str) -> logging.Logger:
    """Send log records, and the exception that ends the process, to the file `path` and to the terminal.

    A `UserError`, a full disk and a read-only one are logged as one line, any other exception with its traceback.
    """
    sys.excepthook = log_exception
    sys.unraisablehook = log_unraisable
    # A log on a full disk would fill the terminal with the traceback of every line.
    logging.raiseExceptions = False
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(message)s",
        datefmt="%H:%M:%S",
        handlers=[logging.FileHandler(path, mode="w", encoding="utf-8"), logging.StreamHandler(sys.stderr)],
        force=True,
    )
    logging.captureWarnings(True)
    return logging.getLogger("crisp")


def log_exception(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Log what ended the process; to be used as `sys.excepthook`.

    Parameters
    ----------
    kind : exception class
        Class of the exception.
    error : BaseException
        Exception that ended the process.
    trace : TracebackType or None
        Traceback of the exception; None where there is none.
    """
    log, trouble = logging.getLogger("crisp"), disk_trouble(error)
    if issubclass(kind, UserError):
        log.error("error: %s", error)
    elif trouble is not None:
        log.error("error: %s", trouble)
        logging.shutdown()
        # HDF5 crashes when it clears up at the end of a process after a failed write
        os._exit(1)
    else:
        log.critical("unexpected %s", kind.__name__, exc_info=(kind, error, trace))


def log_unraisable(unraisable: "sys.UnraisableHookArgs") -> None:
    """Log an error of clearing up, such as HDF5's second complaint of a full disk; as `sys.unraisablehook`."""
    if unraisable.exc_value is None or disk_trouble(unraisable.exc_value) is None:
        sys.__unraisablehook__(unraisable)


def disk_trouble(error: BaseException) -> str | None:
    """One line where a disk that is full or cannot be written is behind an exception, or behind its causes."""
    behind: BaseException | None = error
    while behind is not None:
        text = str(behind)
        # HDF5 writes both into its message
        found, file = re.search(r"errno = (\d+)", text), re.search(r"filename = '([^']+)'", text)
        number = int(found[1]) if found else getattr(behind, "errno", None)
        name = file[1] if file else getattr(behind, "filename", None) or "the folder of the results"
        if number in DISK_TROUBLES:
            return f"{name}: {DISK_TROUBLES[number]}, and run again, which goes on from here"
        if WRITE_FAILED.search(text):
            return f"{name}: writing broke off; see whether the disk is full, and run again, which goes on from here"
        behind = behind.__cause__ or behind.__context__
    return None
