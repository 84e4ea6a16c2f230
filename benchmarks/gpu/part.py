"""One part of the run in its own process; `run.py` starts it."""

import argparse
import ctypes
import importlib
import os
import signal
import sys
import time
from functools import partial
from pathlib import Path

ROOT = Path(__file__).parents[2]
# without the script's folder, whose names are those of other modules too
sys.path[0] = str(ROOT)
sys.path.append(str(ROOT / "benchmarks"))
if "CRISP_GPU_SITE" in os.environ:
    # before the machine's own packages, which can be too old for the carried ones
    sys.path.insert(1, os.environ["CRISP_GPU_SITE"])

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Call the part's `measure`; what it adds is written at once."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("out", type=Path)
    parser.add_argument("scratch", type=Path)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--general", type=Path, required=True)
    parser.add_argument("--rehearse", action="store_true")
    given = parser.parse_args()
    deadline = time.monotonic() + given.seconds
    # a part does not outlive its driver, however that ended (Linux)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    from benchmarks.gpu.record import add_numbers
    from benchmarks.gpu.work import Work

    device = "cpu" if given.rehearse else "cuda"
    places = {"out": given.out, "scratch": given.scratch, "general": given.general}
    work = Work(**places, device=device, rehearse=given.rehearse, deadline=deadline)
    importlib.import_module(f"benchmarks.gpu.{given.name}").measure(partial(add_numbers, given.out, given.name), work)


if __name__ == "__main__":
    main()
