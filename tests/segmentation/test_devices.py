import subprocess
import sys

from crisp_core.segmentation.devices import free_gpu, gpu_names, processors, start_torch

NAMES = ["0", "1", "GPU-5d/3"]
HOLDER = """
import fcntl, sys
lock = open(sys.argv[1])
fcntl.flock(lock, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


def test_jobs_at_the_same_time_have_different_gpus(tmp_path):
    taken = [free_gpu(NAMES, tmp_path) for _ in NAMES]
    assert [number for number, _ in taken] == [0, 1, 2]
    taken[1][1].close()
    assert free_gpu(NAMES, tmp_path)[0] == 1


def test_more_jobs_than_gpus_share_the_first(tmp_path):
    taken = [free_gpu(NAMES[:2], tmp_path) for _ in range(3)]
    assert [number for number, _ in taken] == [0, 1, 0]


def test_a_gpu_has_one_lock_whatever_else_a_job_sees(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    assert gpu_names(2) == ["2", "3"]
    number, lock = free_gpu(gpu_names(2), tmp_path)
    assert number == 0
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert gpu_names(4) == ["0", "1", "2", "3"]
    taken = [free_gpu(gpu_names(4), tmp_path) for _ in range(3)]
    assert [number for number, _ in taken] == [0, 1, 3]
    lock.close()


def test_a_killed_job_frees_its_gpu(tmp_path):
    _, lock = free_gpu(NAMES, tmp_path)
    lock.close()
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, lock.name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "held\n"
    assert free_gpu(NAMES, tmp_path)[0] == 1
    holder.kill()
    holder.communicate()
    assert free_gpu(NAMES, tmp_path)[0] == 0


def test_without_a_granted_gpu_torch_computes_on_the_processor():
    assert start_torch(threads=1, gpus=0) == "cpu"
    assert processors() >= 1
