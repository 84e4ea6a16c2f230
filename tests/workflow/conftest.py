import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.quick_python import quick_python

ROOT = Path(__file__).parents[2]
PARTS = ["Snakefile", "config.yaml", "rules", "workflow_scripts", "crisp_core", "envs", "profiles"]

TINY = {
    "micrographs_per_job": 3,
    "run": ["tiny/small"],
    "datasets": {
        "tiny": {
            "pixel_size": 7.08,
            "particle_diameter_angstrom": 180,
            "simulation": {
                "n_micrographs": 5,
                "shape_px": [192, 224],
                "n_particles": [8, 12],
                "min_distance_angstrom": 200,
                "snr": 0.05,
            },
            "split": {"train": 2, "validation": 1, "test": 2},
        }
    },
    "experiments": {
        "small": {
            "network": {"encoder_weights": None, "options": {"encoder_depth": 3, "decoder_channels": [16, 8, 8]}},
            "training": {"epochs": 2, "crops_per_micrograph": 16, "crops_per_step": 4, "crop_px": 64},
            "prediction": {"tile_px": 128, "overlap_px": 16},
        }
    },
}


def run_snakemake(*arguments, cwd, check=True, python=None, runner=()):
    """Run the workflow of `cwd` and return its output; a failure shows the end of it.

    `python` is another program than that of `quick_python`, such as `sys.executable`: for tests of memory and time, of
    signals, and of what happens when a process ends. `runner` comes before the command, such
    as setpriv with its options.
    """
    done = subprocess.run(
        # a fork has the rights of its server, Python itself those of the command
        [*runner, python or quick_python(*runner), "-m", "snakemake", *arguments],
        cwd=cwd,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=os.environ | {"OMP_NUM_THREADS": "2"},
    )
    if check and done.returncode:
        pytest.fail(f"snakemake {' '.join(arguments)} failed:\n{done.stdout[-6000:]}")
    return done


def copy_workflow(folder: Path) -> Path:
    """Copy the workflow alone, so that a test can run and change it."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / part)
    return folder


def write_config(path: Path, config: dict) -> Path:
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory) -> Path:
    """A finished run of the tiny configuration; tests that change it must put it back."""
    folder = copy_workflow(tmp_path_factory.mktemp("tiny") / "crisp")
    write_config(folder / "tiny.yaml", TINY)
    run_snakemake("--cores", "2", "--configfile", "tiny.yaml", cwd=folder)
    return folder
