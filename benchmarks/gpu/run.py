"""Run all parts, one process each, within their budgets: `benchmarks/gpu.sh FOLDER`, which calls this.

A part that is cut off or fails leaves its numbers so far, and the next one starts.
"""

import argparse
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).parents[2]
if __name__ == "__main__":
    # instead of the script's folder, whose modules are named like others
    sys.path[0] = str(ROOT)

from benchmarks.gpu.record import set_machine, set_status  # noqa: E402

# Seconds of each part, in the order in which they run.
BUDGETS_S = {"agreement": 75, "prediction": 90, "training": 50, "crf": 25, "paper": 110, "general": 160}
REHEARSAL_S = 60
# Of all parts and the installation; gpu.sh's own limit, a little above, is for a driver that hangs.
TOTAL_S = 525
# Kept back from the last part, for ending it.
RESERVE_S = 5
INSTALLATION_S = 60
# They simulate with one process per core; PyTorch takes its threads from `start_torch`.
SIMULATING = ("paper", "general")


def main() -> int:
    """Run what the command line asks for; 1 if a part is not complete."""
    start = time.monotonic()
    given = arguments().parse_args()
    out = given.folder.resolve()
    out.mkdir(parents=True, exist_ok=True)
    # SystemExit on the way out kills the part that runs
    signal.signal(signal.SIGTERM, _stop)
    with tempfile.TemporaryDirectory(prefix="crisp-gpu-") as scratch:
        environment = installed(given.carried.resolve(), Path(scratch))
        set_machine(out, machine(given.rehearse))
        complete = [
            run_part(name, given, out, Path(scratch), environment, left_s=start + TOTAL_S - time.monotonic())
            for name in chosen(given.only, given.skip)
        ]
    print((out / "gpu.txt").read_text(), flush=True)
    return 0 if all(complete) else 1


def arguments() -> argparse.ArgumentParser:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="gets gpu.json, gpu.txt and weights")
    parser.add_argument("--only", nargs="+", choices=list(BUDGETS_S), metavar="PART", help="parts to run")
    parser.add_argument("--skip", nargs="+", choices=list(BUDGETS_S), metavar="PART", default=[], help="to leave out")
    parser.add_argument("--budget", action="append", default=[], metavar="PART=SECONDS", help="another budget")
    parser.add_argument("--carried", type=Path, default=ROOT / ".gpu", help="folder that gpu_pack.sh filled")
    parser.add_argument("--general", type=Path, default=ROOT / "examples/general.yaml", help="config of the last part")
    parser.add_argument("--rehearse", action="store_true", help="all of it at a tiny size on the processor")
    return parser


def chosen(only: Sequence[str] | None, skip: Sequence[str]) -> list[str]:
    """Parts to run, in their order."""
    return [name for name in BUDGETS_S if name in (only or BUDGETS_S) and name not in skip]


def budget_s(name: str, budgets: Sequence[str], *, rehearse: bool) -> float:
    """Seconds that a part may take."""
    own = dict(budget.split("=", 1) for budget in budgets)
    return float(own.get(name, REHEARSAL_S if rehearse else BUDGETS_S[name]))


def installed(carried: Path, scratch: Path) -> dict[str, str]:
    """Install the carried wheels, if there are any, and return the environment in which parts find them and the data.

    The folder comes before the machine's own packages (`part.py`), which can be too old for the carried ones.
    """
    environment = dict(os.environ)
    if (carried / "wheels").is_dir():
        site = scratch / "site"
        options = ["--quiet", "--no-index", "--no-deps", "--no-compile", "--no-cache-dir", "--target", str(site)]
        wheels = sorted(map(str, (carried / "wheels").glob("*.whl")))
        command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", *options, *wheels]
        subprocess.run(command, check=True, timeout=INSTALLATION_S)
        environment["CRISP_GPU_SITE"] = str(site)
    if (carried / "data").is_dir():
        environment.setdefault("CRISP_TEST_DATA", str(carried / "data"))
    return environment


def machine(rehearse: bool) -> dict[str, str | int]:
    """Where and with what the numbers are measured; the parts add the GPU's name."""
    query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    found = shutil.which("nvidia-smi") and subprocess.run(query, capture_output=True, text=True, timeout=20).stdout
    facts = {"gpu": (found or "none").strip(), "cores": len(os.sched_getaffinity(0)), "kind": platform.machine()}
    facts["python"] = platform.python_version()
    for package in ("torch", "torchvision", "timm", "numpy", "h5py", "scikit-image"):
        try:
            facts[package] = version(package)
        except PackageNotFoundError:
            facts[package] = "missing"
    return facts | ({"rehearsal": "tiny sizes on the processor; no number here says anything"} if rehearse else {})


def run_part(
    name: str, given: argparse.Namespace, out: Path, scratch: Path, environment: dict[str, str], *, left_s: float
) -> bool:
    """Run a part in its own process and write how it ended; whether it is complete."""
    seconds = min(budget_s(name, given.budget, rehearse=given.rehearse), left_s - RESERVE_S)
    if seconds < 1:
        set_status(out, name, "not run: no time left")
        return False
    set_status(out, name, "running")
    folder = scratch / name
    folder.mkdir()
    command = [sys.executable, str(Path(__file__).with_name("part.py")), name, str(out), str(folder)]
    command += [f"--seconds={seconds:.0f}", f"--general={given.general.resolve()}"] + ["--rehearse"] * given.rehearse
    threads = {"OMP_NUM_THREADS": "1"} if given.rehearse or name in SIMULATING else {}
    start = time.monotonic()
    process = subprocess.Popen(command, env=environment | threads, cwd=ROOT, process_group=0)
    try:
        code = process.wait(seconds)
        status = "complete" if code == 0 else f"failed, exit status {code}"
    except subprocess.TimeoutExpired:
        status = "cut off"
    finally:
        kill_group(process.pid)
        process.wait()
    set_status(out, name, f"{status} after {time.monotonic() - start:.0f} s of {seconds:.0f}")
    shutil.rmtree(folder, ignore_errors=True)
    return status == "complete"


def kill_group(pid: int) -> None:
    """Kill the processes of a part that are still there, its workers with it."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def _stop(signum: int, frame: FrameType | None) -> None:
    sys.exit(128 + signum)


if __name__ == "__main__":
    sys.exit(main())
