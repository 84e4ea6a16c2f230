import os
import subprocess

import psutil
import pytest
import yaml

from crisp_core.errors import UserError
from crisp_core.external.job_folder import FAILURE
from crisp_core.external.pick import parser, pick
from crisp_core.external.running import (
    CONFIG,
    end_session,
    folder_of,
    gpu_limits,
    progress_of,
    reason_of,
    run_as_job,
    write_config,
)
from crisp_core.external.train import check_network_link

OUTPUT = """Building DAG of jobs...
localrule set_centers:
    output: results/micrographs/general/centers-given.yaml
Finished jobid: 15 (Rule: set_centers)
3 of 17 steps (18%) done
rule predict:
""".splitlines()


def test_progress_is_steps_and_rules():
    assert list(progress_of(OUTPUT)) == ["  started: set centers", "3 of 17 steps done", "  started: predict"]


def test_the_first_error_is_the_reason(tmp_path):
    log = tmp_path / "crisp.log"
    log.write_text("12:00:00 m1: 3 picks\n12:00:01 error: m2.mrc: is cut off; copy it again\nerror: later\n")
    assert reason_of(log) == "m2.mrc: is cut off; copy it again"
    log.write_text("Killed\n")
    assert reason_of(log) == f"{log}: the workflow failed; the end of this file has the reason"


def test_gpus_are_numbers_or_none():
    assert gpu_limits(None) == ([], os.environ)
    limits, environment = gpu_limits("0:2")
    assert limits == ["--resources", "gpu=2"] and environment["CUDA_VISIBLE_DEVICES"] == "0,2"
    assert gpu_limits("none")[0] == ["--resources", "gpu=0"]
    with pytest.raises(UserError, match="--gpu: 'first' is not a list of GPUs"):
        gpu_limits("first")


def test_the_children_of_a_workflow_end_with_it():
    process = subprocess.Popen("sleep 60 & echo $!; wait", shell=True, stdout=subprocess.PIPE, start_new_session=True)
    child = int(process.stdout.readline())
    end_session(process)
    assert process.poll() is not None
    _, alive = psutil.wait_procs([psutil.Process(child)] if psutil.pid_exists(child) else [], timeout=5)
    assert not alive


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (["--diametre", "150"], "crisp_pick: the following arguments are required: --in_mics, --diameter"),
        (["--in_mics", "m.star", "--diameter", "150", "--box", "3"], "crisp_pick: unrecognized arguments: --box 3"),
        (["--in_mics", "m.star", "--diameter", "150"], "m.star: no such file; check the path"),
        (["--in_mics", "m.star", "--diameter", "150", "--j", "0"], "'0' is not a whole number from 1 on"),
    ],
)
def test_a_mistake_is_one_line_and_a_failure(tmp_path, monkeypatch, capsys, more, reason):
    monkeypatch.chdir(tmp_path)
    assert run_as_job(parser(), pick, ["--o", "External/job001/", *more]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1 and reason in error
    assert (tmp_path / "External/job001" / FAILURE).exists()


def test_the_folder_of_the_job_must_be_given(capsys):
    assert folder_of(["--o"]) is None
    assert run_as_job(parser(), pick, ["--in_mics", "m.star", "--diameter", "150"]) == 1
    assert "--o" in capsys.readouterr().err


def test_a_config_and_a_network_of_the_users_own_are_kept(tmp_path, capsys):
    write_config(tmp_path, {"run": ["a/b"]})
    write_config(tmp_path, {"run": ["a/c"]})
    assert yaml.safe_load((tmp_path / CONFIG).read_text()) == {"run": ["a/c"]} and not capsys.readouterr().out
    for n, own in enumerate(("run: [mine/unet]\n", "# caf\xe9\n"), start=1):
        (tmp_path / CONFIG).write_bytes(own.encode("latin-1"))
        write_config(tmp_path, {"run": ["a/b"]})
        assert (tmp_path / f"crisp.old{n}").read_bytes() == own.encode("latin-1")
        assert f"was not written by CRISP; it is crisp.old{n} now" in capsys.readouterr().out
    assert yaml.safe_load((tmp_path / CONFIG).read_text()) == {"run": ["a/b"]}
    check_network_link(tmp_path)
    (tmp_path / "network.pt").write_bytes(b"weights")
    with pytest.raises(UserError, match=r"network\.pt: is not of an earlier training, and would be replaced; move it"):
        check_network_link(tmp_path)
