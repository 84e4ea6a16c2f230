"""A RELION project with small simulated micrographs, made and continued by RELION 3.1's own pipeliner."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import gaussian_filter

from crisp_core.formats.mrc import write_mrc
from crisp_core.formats.star import read_blocks, write_blocks
from tests.conftest import ROOT
from tests.picking.discs import discs, scattered
from tests.quick_python import quick_python

PIXEL_SIZE, DIAMETER, SIDE = 7.08, 180, 320
CTF = {"rlnDefocusU": 12000.0, "rlnDefocusV": 11000.0, "rlnDefocusAngle": 20.0, "rlnCtfFigureOfMerit": 0.1}
INTEGRATION = ROOT / "integrations/relion"
EMPTY_PIPELINE = "\n# version 30001\n\ndata_pipeline_general\n\n_rlnPipeLineJobCounter    1\n\n"


def variables(python: str) -> dict[str, str]:
    """Environment of a job's programs, which find Python by CRISP_PYTHON."""
    return os.environ | {"OMP_NUM_THREADS": "1", "CRISP_PYTHON": python}


def write_micrograph(path, seed):
    """Write a micrograph of dark balls in noise; returns their places (n, 2) as x and y."""
    rng = np.random.default_rng(seed)
    xy = scattered(12, SIDE, 1.2 * DIAMETER / PIXEL_SIZE, margin=20, seed=seed)
    grain = gaussian_filter(rng.normal(size=(SIDE, SIDE)), 1.5)
    particles = discs((SIDE, SIDE), xy, 0.8 * DIAMETER / PIXEL_SIZE) * (1 + 3 * grain)
    image = rng.normal(0, 1.2, (SIDE, SIDE)) - gaussian_filter(particles, 1)
    write_mrc(path, image.astype("float32"), pixel_size=PIXEL_SIZE, dtype="float32")
    return xy


def need_relion():
    if shutil.which("relion_pipeliner") is None:
        pytest.skip("relion_pipeliner is not on PATH: install RELION (Debian: apt-get install relion)")


class RelionProject:
    """Folder of a project; jobs are added and run by relion_pipeliner."""

    def __init__(self, folder: Path, seeds=(1, 2)):
        self.folder = folder
        self.truth = {}
        (folder / "Micrographs").mkdir(parents=True)
        (folder / "default_pipeline.star").write_text(EMPTY_PIPELINE)
        (folder / ".gui_projectdir").touch()
        for seed in seeds:
            self.add_micrograph(seed)

    def add_micrograph(self, seed):
        self.truth[f"mic{seed}"] = write_micrograph(self.folder / f"Micrographs/mic{seed}.mrc", seed)

    def pipeliner(self, *arguments, python=None):
        own = variables(python or quick_python())
        options = {"cwd": self.folder, "capture_output": True, "text": True, "env": own}
        done = subprocess.run(["relion_pipeliner", *arguments], **options)
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    def add_job(self, kind, **options):
        """Schedule a job and return its folder."""
        before = self.jobs()
        listed = ";".join(f"{key} == {value}" for key, value in options.items())
        self.pipeliner("--addJob", kind, "--addJobOptions", listed)
        (name,) = self.jobs() - before
        return name

    def jobs(self):
        processes = read_blocks(self.folder / "default_pipeline.star").get("pipeline_processes")
        if processes is None:
            return set()
        names = processes["rlnPipeLineProcessName"]
        return {names} if isinstance(names, str) else set(names)

    def status(self, job):
        """Status of a job in the pipeline, as the number of RELION 3.1."""
        self.pipeliner("--check_job_completion")
        processes = read_blocks(self.folder / "default_pipeline.star")["pipeline_processes"]
        return int(processes.set_index("rlnPipeLineProcessName").loc[job, "rlnPipeLineProcessStatus"])

    def output(self, job):
        """What a job printed, and what the workflow in it did."""
        paths = [self.folder / job / name for name in ("run.out", "run.err", "crisp.log")]
        return "\n".join(path.read_text()[-3000:] for path in paths if path.exists())

    def start_words(self, job):
        """Arguments of relion_pipeliner that run or continue a job."""
        schedule = f"s{len(list(self.folder.glob('pipeline_*.log')))}"
        return ["--RunJobs", job, "--schedule", schedule, "--sec_wait_after", "0"]

    def start(self, job, python=None):
        """Run or continue a job to its end, as RELION's button does."""
        self.pipeliner(*self.start_words(job), python=python)

    def start_aside(self, job):
        """Run a job and return at once, with the process of the pipeliner; with Python itself, since it is aborted."""
        words, own = ["relion_pipeliner", *self.start_words(job)], variables(sys.executable)
        return subprocess.Popen(words, cwd=self.folder, env=own, stdout=subprocess.DEVNULL)

    def write_ctf(self, names):
        """Write the star file of a CtfFind job that imported micrographs went through."""
        optics = {"rlnOpticsGroup": 1, "rlnOpticsGroupName": "g", "rlnMicrographPixelSize": PIXEL_SIZE}
        optics |= {"rlnVoltage": 300.0, "rlnSphericalAberration": 2.7, "rlnAmplitudeContrast": 0.1}
        rows = [{"rlnMicrographName": name, "rlnOpticsGroup": 1} | CTF for name in names]
        path = self.folder / "CtfFind/job002/micrographs_ctf.star"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_blocks(path, {"optics": pd.DataFrame([optics]), "micrographs": pd.DataFrame(rows)})
        return path.relative_to(self.folder).as_posix()
