"""Micrographs that a microscope is still writing: which of them are finished."""

import os
import time
from pathlib import Path

from crisp_core.errors import UserError
from crisp_core.formats.images import check_whole

# a file that stays short for so many times the waiting time is broken, and is taken so that the quarantine names it
PATIENCE = 10


def has_arrived(path: str | Path, *, seconds: float, now: float | None = None) -> bool:
    """Whether a micrograph is finished: unchanged for some time, and as long as it says itself.

    What counts is the time of the last change of any kind (ctime), which the file system sets and no copying program
    can. The clocks of this machine and of the file server must agree to a fraction of `seconds`.

    Parameters
    ----------
    path : str or Path
    seconds : float
        How long it must not have changed; `PATIENCE` times as long where it is not whole.
    now : float, optional
        Seconds since 1970; the clock's by default.
    """
    try:
        changed = os.stat(path).st_ctime
    except OSError:
        return False
    age = (time.time() if now is None else now) - changed
    return age >= seconds and (age >= PATIENCE * seconds or _is_whole(path))


def _is_whole(path: str | Path) -> bool:
    try:
        check_whole(path)
    except UserError:
        return False
    return True
