"""Runs of other programs: their output to the log, their failure as one line."""

import logging
import shutil
import subprocess
from collections import deque
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from crisp_core.arrays import Array, Grid
from crisp_core.errors import UserError
from crisp_core.geometry import rescaled_shape
from crisp_core.micrographs import write_mrc
from crisp_core.normalization import fourier_downsample
from crisp_core.star import COLUMNS

TAIL_LINES = 20

log = logging.getLogger("crisp")


def run_program(command: Sequence[str], *, install: str, folder: str | Path | None = None) -> None:
    """Run a program; every line that it prints goes to the log.

    Parameters
    ----------
    command : sequence of str
        Program and arguments; no shell reads them.
    install : str
        How to install the program, for the message.
    folder : str or Path, optional
        Working directory of the program.

    Raises
    ------
    UserError
        If the program is not installed, or ends with an error, whose last line the message quotes.
    """
    program = Path(command[0]).name
    if shutil.which(command[0]) is None:
        raise UserError(f"{program}: not found; {install}")
    log.info("%s", " ".join(map(str, command)))
    tail: deque[str] = deque(maxlen=TAIL_LINES)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "errors": "replace"}
    with subprocess.Popen([str(word) for word in command], cwd=folder, **pipes) as process:
        for line in process.stdout:
            # of a progress bar, which rewrites its line, only the last state
            if text := line.rstrip().rsplit("\r", 1)[-1]:
                log.info("%s", text)
                tail.append(text)
    if process.returncode:
        last = tail[-1] if tail else "it printed nothing"
        raise UserError(f"{program} failed: {last}; its command and output are in the log")


def write_images(
    images: Iterable[tuple[str, Array]], folder: str | Path, *, pixel_size: float | None = None
) -> dict[str, Grid]:
    """Write images as `folder/<micrograph>.mrc`, one at a time.

    Parameters
    ----------
    images : iterable of (micrograph, Array)
    folder : str or Path
        Existing folder.
    pixel_size : float, optional
        Å/px to which they are down-sampled; images that are as coarse already stay as they are.

    Returns
    -------
    dict of str to Grid
        Shape and pixel size as written, and the shape of the micrograph.
    """
    grids = {}
    for name, image in images:
        written = max(pixel_size or 0, image.pixel_size)
        shape = rescaled_shape(image.data.shape, image.pixel_size, written)
        data = image.data if shape == image.data.shape else fourier_downsample(image.data, shape)
        write_mrc(Path(folder) / f"{name}.mrc", data, pixel_size=written, dtype=np.float32)
        grids[name] = Grid(shape, written, image.full_shape)
    return grids


def joined(tables: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Tables of picks below each other; of none, a table without rows."""
    filled = [table[list(COLUMNS)] for table in tables if len(table)]
    if filled:
        return pd.concat(filled, ignore_index=True)
    return pd.DataFrame({column: pd.Series(dtype=str if column == "micrograph" else float) for column in COLUMNS})
