"""Cost of the workflow itself for many micrographs: planning, a whole run on one core, and an addition to it.

Usage: python benchmarks/scale.py FOLDER [--micrographs 3000] [--run 300] [--added 100]

Plans a run of all micrographs, then makes one of the first `--run` of them, adds `--added` and makes it again. The
micrographs are tiny (64²) and the network is small, so that the jobs cost little more than their start; on one core
the workflow's own time is what the jobs leave of the whole.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.process_memory import resident_mebibytes  # noqa: E402
from crisp_core.formats.mrc import write_mrc  # noqa: E402

SIZE_PX, PIXEL_SIZE, N_LABELLED = 64, 7.08, 24
CONFIG = {
    "micrographs_per_job": 32,
    "run": ["many/small"],
    "datasets": {
        "many": {
            "micrographs": "micrographs/*.mrc",
            "coordinates": {"files": "coordinates/*.csv", "origin": "top-left"},
            "pixel_size": PIXEL_SIZE,
            "particle_diameter_angstrom": 180,
            "preparation": {"normalization": "robust"},
            "split": {"train": 12, "validation": 4, "test": "rest"},
        }
    },
    "experiments": {
        "small": {
            "network": {"encoder_weights": None, "options": {"encoder_depth": 3, "decoder_channels": [16, 8, 8]}},
            "training": {"epochs": 1, "crops_per_micrograph": 8, "crops_per_step": 4, "crop_px": 64},
            "prediction": {"tile_px": 64, "overlap_px": 16},
        }
    },
}


def draw(folder: Path, name: str, *, labelled: bool) -> None:
    """Write a micrograph of two to four discs in noise, and its coordinates if it is labelled."""
    rng = np.random.default_rng(list(name.encode()))
    xy = np.array([[16, 16], [48, 16], [16, 48], [48, 48]])[: rng.integers(2, 5)] + rng.integers(-6, 7, 2)
    image = rng.normal(0, 1, (SIZE_PX, SIZE_PX))
    y, x = np.mgrid[:SIZE_PX, :SIZE_PX]
    for center in xy:
        image -= 3 * (np.hypot(x - center[0], y - center[1]) < 6)
    write_mrc(folder / f"micrographs/{name}.mrc", image, pixel_size=PIXEL_SIZE, dtype="float32")
    if labelled:
        np.savetxt(folder / f"coordinates/{name}.csv", xy, fmt="%d", delimiter=",", header="x,y", comments="")


def make_dataset(folder: Path, names: list[str], *, n_labelled: int) -> None:
    """Write micrographs, the first of them with coordinates, and the config."""
    for kind in ("micrographs", "coordinates"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    for i, name in enumerate(names):
        draw(folder, name, labelled=i < n_labelled)
    (folder / "scale.yaml").write_text(yaml.safe_dump(CONFIG))


def snakemake(folder: Path, *arguments: str) -> tuple[float, float, float, str]:
    """Run the workflow; seconds, processor seconds with its jobs, peak MiB without them, and what it printed."""
    command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "--configfile", "scale.yaml"]
    start = time.perf_counter()
    with tempfile.TemporaryFile() as printed:
        run = subprocess.Popen([*command, *arguments], cwd=folder, stdout=printed, stderr=subprocess.STDOUT)
        # wait4 would give the memory of the largest job if that is more
        peak_mib = 0.0
        while not os.waitid(os.P_PID, run.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            peak_mib = max(peak_mib, resident_mebibytes("VmHWM", run.pid))
            time.sleep(0.2)
        _, status, usage = os.wait4(run.pid, 0)
        printed.seek(0)
        output = printed.read().decode()
    run.returncode = os.waitstatus_to_exitcode(status)
    if run.returncode:
        sys.exit(output[-5000:])
    return time.perf_counter() - start, usage.ru_utime + usage.ru_stime, peak_mib, output


def job_times(folder: Path, since: float) -> list[float]:
    """Seconds of every job that began after a time, from Snakemake's own records."""
    jobs = {}
    for path in (folder / ".snakemake/metadata").rglob("*"):
        if path.is_file():
            # one record per output; those of a job have the same log, and start within a millisecond
            record = json.loads(path.read_text())
            if record["starttime"] >= since:
                jobs[record["rule"], *record["log"]] = record["endtime"] - record["starttime"]
    return list(jobs.values())


def whole_run(folder: Path, title: str) -> None:
    """Run to the end on one core and print what of the time was not the jobs'."""
    start = time.time()
    seconds, _, memory_mib, _ = snakemake(folder, "--cores", "1")
    jobs = job_times(folder, start)
    share, n_files = 1 - sum(jobs) / seconds, sum(path.is_file() for path in folder.rglob("*"))
    print(f"{title}: {seconds:.0f} s, {len(jobs)} jobs of {sum(jobs):.0f} s, {share:.1%} of it the workflow's own")
    print(f"{title}: {memory_mib:.0f} MiB of the main process, {n_files} files in the folder", flush=True)


def times(folder: Path) -> dict[Path, int]:
    """When each result was last changed."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file() and not path.is_symlink()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--micrographs", type=int, default=3000)
    parser.add_argument("--run", type=int, default=300)
    parser.add_argument("--added", type=int, default=100)
    given = parser.parse_args()

    planned = given.folder / "planned"
    make_dataset(planned, [f"m{i:05d}" for i in range(given.micrographs)], n_labelled=N_LABELLED)
    seconds, cpu_seconds, memory_mib, output = snakemake(planned, "-n", "--quiet", "rules")
    n_jobs = next(line.split()[1] for line in output.splitlines() if line.startswith("total "))
    print(
        f"plan of {given.micrographs} micrographs: {n_jobs} jobs, "
        f"{seconds:.1f} s ({cpu_seconds:.1f} s processor), {memory_mib:.0f} MiB"
    )

    made = given.folder / "made"
    make_dataset(made, [f"m{i:05d}" for i in range(given.run)], n_labelled=N_LABELLED)
    whole_run(made, f"run of {given.run}")
    before = times(made / "results/many")
    # they sort before all others
    make_dataset(made, [f"a{i:05d}" for i in range(given.added)], n_labelled=2)
    whole_run(made, f"addition of {given.added}")
    after = times(made / "results/many")
    for kind in ("images", "labels", "small/probability", "small/picks", "small/particles"):
        old = [path for path in before if path.parent == made / "results/many" / kind]
        print(f"{kind}: {sum(before[path] != after.get(path) for path in old)} of {len(old)} old files changed")
