import tempfile

import torch

from crisp_core.pickers.topaz import topaz_command
from crisp_core.segmentation import devices


def test_local_jobs_of_topaz_have_different_gpus(tmp_path, monkeypatch):
    """Two GPUs, of which another job has the first."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(devices, "held", [])
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    _, other = devices.free_gpu(devices.gpu_names(2), tmp_path)
    command = topaz_command("extract", threads=1, gpus=1)
    assert command[command.index("-d") + 1] == "1"
    other.close()
    devices.held[0].close()


def test_topaz_runs_on_the_processor_where_pytorch_has_no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for gpus in (0, 1):
        command = topaz_command("extract", threads=1, gpus=gpus)
        assert command[command.index("-d") + 1] == "-1"
