"""Peak memory of every stage on large micrographs, and whether it grows with their number.

Usage: python benchmarks/memory.py FOLDER [--shapes 4096x4096 8184x11520] [--numbers 3 6]

For every shape and number, simulates micrographs and runs the whole chain on them, then once more on the files of the
first (outlines from the true orientations), by the workflow itself in FOLDER/<shape>-<number>. Training is short: its
memory depends on crops and network, not on its length. Prints each stage's largest job in MiB (resident memory, from
Snakemake).
"""

import argparse
import subprocess
import sys
from pathlib import Path

import pandas as pd
import yaml
from stages import stage_table

ROOT = Path(__file__).parents[1]
# width of the field of view of EMPIAR-10017 (Å); more pixels show the same in finer steps
FIELD_ANGSTROM = 7250.0


def settings(height: int, width: int, n: int) -> dict:
    """Config of one case: simulated micrographs, and the same as files with outlines of known orientations."""
    shared = {
        "pixel_size": round(FIELD_ANGSTROM / width, 3),
        "particle_diameter_angstrom": 180,
        "split": {"train": 1, "validation": 1, "test": "rest"},
    }
    simulation = {"n_micrographs": n, "shape_px": [height, width], "snr_pixel_size": shared["pixel_size"]}
    files = {
        "micrographs": "results/simulated/micrographs/*.mrc",
        "coordinates": {
            "files": "results/simulated/simulation/*.star",
            "format": "relion-particles",
            "origin": "top-left",
        },
        "labels": {"source": "poses", "poses": "truth.star", "map": "results/simulated/density.mrc"},
    }
    network = {"training": {"epochs": 1, "crops_per_micrograph": 32}, "network": {"encoder_weights": None}}
    return {
        "micrographs_per_job": n,
        "datasets": {"simulated": shared | {"simulation": simulation}, "files": shared | files},
        "experiments": {"short": network},
    }


def run(folder: Path, config: dict, dataset: str) -> None:
    """Run the workflow on one of a config's datasets, up to everything but the report."""
    used = config | {"run": [f"{dataset}/short"], "datasets": {dataset: config["datasets"][dataset]}}
    (folder / f"{dataset}.yaml").write_text(yaml.safe_dump(used))
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder)]
    command += [
        "--workflow-profile",
        str(ROOT / "profiles/default"),
        "--cores",
        "2",
        "--configfile",
        str(folder / f"{dataset}.yaml"),
        "--",
    ]
    subprocess.run([*command, "particles", f"results/{dataset}/short/metrics/picks.tsv"], check=True)


def measure(folder: Path, height: int, width: int, n: int) -> pd.Series:
    """Peak memory by stage of one case."""
    folder.mkdir(parents=True, exist_ok=True)
    config = settings(height, width, n)
    run(folder, config, "simulated")
    (folder / "truth.star").write_bytes((folder / "results/simulated/simulation/0000.star").read_bytes())
    run(folder, config, "files")
    return stage_table(folder / "results")["peak_mib"]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--shapes", nargs="+", default=["4096x4096", "8184x11520"])
    parser.add_argument("--numbers", nargs="+", type=int, default=[3, 6])
    arguments = parser.parse_args()
    table = {}
    for shape in arguments.shapes:
        for n in arguments.numbers:
            table[f"{shape}, {n}"] = measure(arguments.folder / f"{shape}-{n}", *map(int, shape.split("x")), n)
            print(pd.DataFrame(table).round(0).to_string(), flush=True)
