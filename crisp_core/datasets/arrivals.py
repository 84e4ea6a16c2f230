"""Finished and unfinished micrographs during data collection."""

import os
import time
from pathlib import Path

from crisp_core.errors import UserError
from crisp_core.formats.images import check_whole

# A file that stays truncated for so many waiting times is broken; it is taken, so that the quarantine lists it.
PATIENCE = 10


def has_arrived(path: str | Path, *, seconds: float, now: float | None = None) -> bool:
    """Whether a micrograph is finished: unchanged for some time, and as long as its header states.

    The time of the last change of any kind (ctime) counts, since only the file system sets it, and no copying program.
    The clocks of this machine and of the file server must agree to a fraction of `seconds`.

    Parameters
    ----------
    path : str or Path
        The micrograph.
    seconds : float
        Minimum time without a change, in seconds; `PATIENCE` times as long for a truncated file.
    now : float, optional
        Present time in seconds since 1970; by default that of the clock.
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
