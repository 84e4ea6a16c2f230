"""Runs of other programs: their output to the log, their failure as one line."""

import logging
import re
import shutil
import subprocess
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from crisp_core.errors import UserError

# Lines in which the reason of a failure is looked for.
TAIL_LINES = 100

log = logging.getLogger("crisp")


def run_program(command: Sequence[str | Path], *, install: str, folder: str | Path | None = None) -> None:
    """Run a program; every line that it prints goes to the log.

    Parameters
    ----------
    command : sequence of str or Path
        Program and arguments; no shell reads them.
    install : str
        How to install the program, for the message.
    folder : str or Path, optional
        Working directory of the program.

    Raises
    ------
    UserError
        If the program is not installed, or ends with an error, which the message quotes.
    """
    program = Path(command[0]).name
    check_installed(command[0], install=install)
    words = [str(word) for word in command]
    log.info("%s", " ".join(words))
    tail: deque[str] = deque(maxlen=TAIL_LINES)
    with subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        for line in process.stdout or ():
            # of a progress bar, which rewrites its line, only the last state
            if text := line.decode(errors="replace").rstrip().rsplit("\r", 1)[-1]:
                log.info("%s", text)
                tail.append(text)
    if process.returncode:
        raise UserError(f"{program} failed: {last_error(tail)}; its command and output are in the log")


def check_installed(program: str | Path, *, install: str) -> None:
    """Refuse a program that is not installed; `install` says how to."""
    if shutil.which(program) is None:
        raise UserError(f"{Path(program).name}: not found; {install}")


def last_error(lines: Sequence[str]) -> str:
    """Line of a program's output that says what went wrong: the last error, or else the last line."""
    clean = [line.strip() for line in lines if line.strip()]
    for i in reversed(range(len(clean))):
        message = re.sub(r"^.*?\bERROR\b:?\s*", "", clean[i], flags=re.IGNORECASE)
        if message != clean[i]:
            return message or " ".join(clean[i + 1 : i + 2]) or clean[i]
    return clean[-1] if clean else "it printed nothing"
