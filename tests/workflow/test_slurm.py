"""The whole chain on a Slurm of one node, started and ended here: what is asked of it, and a job that is killed."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from .conftest import TINY, copy_workflow, write_config
from .test_runs import contents

pytestmark = pytest.mark.slow

CONFIGURATION = Path("/etc/slurm/slurm.conf")
STARTER = Path(__file__).with_name("start_slurm.sh")
# processors and memory (MB) of every rule that is sent to the cluster, as its threads and mem_mb say
REQUESTS = {
    "density": (2, 8000),
    "simulate": (2, 4000),
    "prepare": (2, 4000),
    "import_coordinates": (1, 4000),
    "label_simulated": (2, 4000),
    "train": (8, 8000),
    "predict": (4, 4000),
    "search_centers": (1, 4000),
    "pick": (1, 4000),
    "extract": (1, 4000),
}
GPU_RULES = {"train", "predict"}


def slurm_jobs():
    """All jobs that the controller knows, oldest first, as dictionaries."""
    output = subprocess.run(["scontrol", "-o", "show", "job"], capture_output=True, text=True).stdout
    jobs = [dict(re.findall(r"(\S+?)=(\S*)", line)) for line in output.splitlines() if line.startswith("JobId")]
    for job in jobs:
        job["rule"] = re.sub(r"^rule_(\w+?)(_wildcards_.*)?$", r"\1", job.get("Comment", ""))
    return sorted(jobs, key=lambda job: int(job["JobId"]))


def processes_of(pids):
    return [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]


def end_jobs():
    """Cancel what is left, and wait until the node has ended it."""
    subprocess.run(["scancel", "--user", "root"])
    for _ in range(120):
        if not subprocess.run(["squeue", "-h"], capture_output=True, text=True).stdout:
            return
        time.sleep(0.5)


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    """A Slurm of one node; whatever was started for it is ended, and its configuration removed."""
    if shutil.which("slurmctld") is None or os.geteuid() != 0:
        pytest.skip("needs root, and Debian's packages slurm-wlm and munge")
    if CONFIGURATION.exists() and "start_slurm.sh" not in CONFIGURATION.read_text():
        pytest.skip(f"{CONFIGURATION} is of another Slurm, which is left alone")
    folder = tmp_path_factory.mktemp("slurm")
    started = subprocess.run([STARTER, folder], stdout=subprocess.PIPE, text=True)
    try:
        assert started.returncode == 0
        yield
    finally:
        end_jobs()
        daemons = processes_of(map(int, started.stdout.split()))
        for process in daemons:
            process.terminate()
        for process in psutil.wait_procs(daemons, timeout=10)[1]:
            process.kill()
        for path in (CONFIGURATION, CONFIGURATION.with_name("gres.conf")):
            path.unlink(missing_ok=True)


def wait_for(run, condition):
    """First true value of the condition while the run goes on."""
    while run.poll() is None:
        if value := condition():
            return value
        time.sleep(0.3)
    pytest.fail("the run ended before it could be disturbed")


def running(rule):
    return next((job for job in slurm_jobs() if job["rule"] == rule and job["JobState"] == "RUNNING"), None)


@pytest.fixture(scope="module")
def cluster_run(slurm, tmp_path_factory):
    """Folder and jobs of the tiny run on Slurm; one of its jobs was killed from outside."""
    folder = copy_workflow(tmp_path_factory.mktemp("cluster") / "crisp")
    # two batches, so that two GPU jobs are in the queue at once
    write_config(folder / "tiny.yaml", TINY)
    (folder / "slurm").symlink_to("profiles/slurm")
    command = [sys.executable, "-m", "snakemake", "--profile", "slurm", "--configfile", "tiny.yaml"]
    # the profile's 10 seconds spare a cluster's controller
    command += ["--slurm-init-seconds-before-status-checks", "2"]
    with open(folder / "output.txt", "w") as output:
        run = subprocess.Popen(command, cwd=folder, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            victim = wait_for(run, lambda: running("prepare"))
            subprocess.run(["scancel", victim["JobId"]], check=True)
            assert run.wait(timeout=1800) == 0, (folder / "output.txt").read_text()[-6000:]
        finally:
            if run.poll() is None:
                os.killpg(run.pid, signal.SIGKILL)
                run.wait()
    return folder, slurm_jobs(), victim["JobId"]


def test_the_files_are_those_of_a_run_without_a_cluster(cluster_run, tiny_run):
    folder, jobs, _ = cluster_run
    made, expected = contents(folder), contents(tiny_run)
    assert made.keys() == expected.keys()
    assert [name for name in made if made[name] != expected[name]] == []
    assert REQUESTS.keys() <= {job["rule"] for job in jobs}


def test_a_killed_job_is_sent_again(cluster_run):
    _, jobs, victim = cluster_run
    states = {job["JobId"]: job["JobState"] for job in jobs}
    assert states.pop(victim) == "CANCELLED"
    assert set(states.values()) == {"COMPLETED"}
    assert sum(job["rule"] == "prepare" for job in jobs) == 3


def test_the_gpu_rules_ask_for_a_gpu_and_no_others_do(cluster_run):
    asking = {job["rule"] for job in cluster_run[1] if "gpu" in job.get("TresPerJob", "") + job.get("TresPerNode", "")}
    assert asking == GPU_RULES


def test_processors_and_memory_are_asked_for_as_declared(cluster_run):
    asked = {job["rule"]: (int(job["NumCPUs"]), megabytes(job["MinMemoryNode"])) for job in cluster_run[1]}
    assert {rule: asked[rule] for rule in REQUESTS} == REQUESTS


def megabytes(text):
    return int(float(text.rstrip("MG")) * (1000 if text.endswith("G") else 1)) if text != "0" else 0


def test_several_gpu_jobs_are_in_the_queue_at_once(cluster_run):
    first, second = (job for job in cluster_run[1] if job["rule"] == "predict")
    # the node has one GPU, so that one of them had to wait
    assert second["SubmitTime"] < first["EndTime"] and first["SubmitTime"] < second["EndTime"]
    assert second["StartTime"] >= first["EndTime"] or first["StartTime"] >= second["EndTime"]
