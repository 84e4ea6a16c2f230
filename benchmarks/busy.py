"""Every stage alone and beside busy neighbours, with thread pools that spin and with pools that sleep.

Usage: python benchmarks/busy.py FOLDER [--neighbours 2] [--rounds 2]

Runs the workflow on a small simulated dataset in FOLDER, each time from the start, and reads the seconds of every rule
from Snakemake's benchmark files. The four cases take turns, so that a slow minute of the machine hits all of them:
spinning or sleeping pools (`crisp_core.waiting`), alone or beside neighbours that only count. The table has the
minimum over the rounds, and the ratios beside / alone.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import yaml
from stages import stage_table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from crisp_core.waiting import WAITING

ROOT = Path(__file__).resolve().parents[1]
# as libraries wait by themselves; GCC's OpenMP spins 300,000 times where nothing is set
SPINNING = {
    "GOMP_SPINCOUNT": "300000",
    "OMP_WAIT_POLICY": "PASSIVE",
    "KMP_BLOCKTIME": "200",
    "OPENBLAS_THREAD_TIMEOUT": "26",
}
CONFIG = {
    "micrographs_per_job": 4,
    "run": ["busy/unet"],
    "datasets": {
        "busy": {
            "pixel_size": 1.5,
            "particle_diameter_angstrom": 150,
            "simulation": {"n_micrographs": 4, "shape_px": [1240, 1200], "n_particles": [40, 60], "snr": 0.05},
            "split": {"train": 2, "validation": 1, "test": 1},
        }
    },
    "experiments": {
        "unet": {
            "network": {"encoder_weights": None},
            "training": {"epochs": 2, "crops_per_micrograph": 32},
            "prediction": {"tile_px": 256, "overlap_px": 32},
        }
    },
}


@contextmanager
def neighbours(n: int) -> Iterator[None]:
    """Processes that keep `n` cores busy."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(n)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def run_seconds(folder: Path, environment: dict[str, str], *, n_neighbours: int) -> pd.Series:
    """Seconds of every rule of a whole run."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "busy.yaml").write_text(yaml.safe_dump(CONFIG))
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder)]
    command += ["--cores", "2", "--forceall", "--quiet", "all", "--configfile", str(folder / "busy.yaml"), "--"]
    with neighbours(n_neighbours):
        subprocess.run([*command, "particles"], check=True, env=os.environ | environment)
    return stage_table(folder / "results")["seconds"]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--neighbours", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    pools = {"spinning": SPINNING, "sleeping": WAITING}
    found: dict[str, list[pd.Series]] = {}
    for _ in range(arguments.rounds):
        for n in (0, arguments.neighbours):
            for name, environment in pools.items():
                key = f"{name}, {'beside' if n else 'alone'}"
                found.setdefault(key, []).append(run_seconds(arguments.folder, environment, n_neighbours=n))
                table = pd.DataFrame({case: pd.concat(rounds, axis=1).min(axis=1) for case, rounds in found.items()})
                for pool in pools:
                    if f"{pool}, beside" in table:
                        table[f"{pool}, ratio"] = table[f"{pool}, beside"] / table[f"{pool}, alone"]
                print(table.round(1).to_string(), flush=True)
