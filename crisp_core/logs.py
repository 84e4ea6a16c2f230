"""Logging of a job: to its log file and to the terminal, with a user's error as one line."""

import logging
import sys
from types import TracebackType

from crisp_core.errors import UserError


def start_log(path: str) -> logging.Logger:
    """Send log records, and the exception that ends the process, to the file `path` and to the terminal.

    A `UserError` is logged as its one line, any other exception with its traceback.
    """
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(message)s",
        datefmt="%H:%M:%S",
        handlers=[logging.FileHandler(path, mode="w", encoding="utf-8"), logging.StreamHandler(sys.stderr)],
        force=True,
    )
    logging.captureWarnings(True)
    sys.excepthook = log_exception
    return logging.getLogger("crisp")


def log_exception(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Log what ended the process; to be used as `sys.excepthook`."""
    if issubclass(kind, UserError):
        logging.getLogger("crisp").error("error: %s", error)
    else:
        logging.getLogger("crisp").critical("unexpected %s", kind.__name__, exc_info=(kind, error, trace))
