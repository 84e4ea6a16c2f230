"""Runs that are killed at random moments, restarted to the end, and compared with one that was left alone.

`CRISP_KILLS=20 python -m pytest tests/workflow/test_kill.py` kills 20 times; CI does so four times.
"""

import os
import shutil
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

from .conftest import TINY, copy_workflow, run_snakemake, write_config
from .test_runs import contents

pytestmark = pytest.mark.slow

N_KILLS = int(os.environ.get("CRISP_KILLS", "4"))
# a restart, with planning alone, takes about the least; most of a tiny run's jobs are over after the most
KILL_AFTER_SECONDS = (4, 30)
ARGUMENTS = ("--cores", "2", "--configfile", "tiny.yaml")


def kill_tree(process):
    """SIGKILL to a process and everything that it started."""
    main = psutil.Process(process.pid)
    # so that it starts no other job meanwhile
    main.suspend()
    for member in [*main.children(recursive=True), main]:
        try:
            member.kill()
        except psutil.NoSuchProcess:
            pass
    process.wait()


def run_killed(folder, seconds):
    """Start the workflow and kill it after some seconds; whether it came to its end before."""
    with open(folder / "output.txt", "a") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "snakemake", *ARGUMENTS], cwd=folder, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            kill_tree(process)
            return False
    assert process.returncode == 0, (folder / "output.txt").read_text()[-6000:]
    return True


def test_killed_runs_end_with_the_files_of_an_undisturbed_one(tiny_run, tmp_path):
    folder = copy_workflow(tmp_path / "crisp")
    write_config(folder / "tiny.yaml", TINY)
    expected = contents(tiny_run)
    random = np.random.default_rng(0)
    kills, rounds, started = 0, 0, time.time()
    while kills < N_KILLS:
        if run_killed(folder, random.uniform(*KILL_AFTER_SECONDS)):
            rounds += 1
            assert contents(folder) == expected
            shutil.rmtree(folder / "results")
            continue
        kills += 1
        # what docs/running.md says of a killed run
        run_snakemake("--unlock", *ARGUMENTS, cwd=folder)
    run_snakemake(*ARGUMENTS, cwd=folder)
    made = contents(folder)
    assert made.keys() == expected.keys()
    assert [name for name in made if made[name] != expected[name]] == []
    print(f"{kills} kills, {rounds + 1} finished runs, {time.time() - started:.0f} s")
