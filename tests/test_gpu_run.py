"""The run that waits for a GPU (benchmarks/gpu.sh), on the processor at a tiny size."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest
import torch
import yaml

from benchmarks.gpu.agreement import add_differences, difference
from benchmarks.gpu.general import read_plan
from benchmarks.gpu.record import add_numbers, read_record, set_status
from benchmarks.gpu.run import BUDGETS_S, TOTAL_S, chosen
from crisp_core.plan.zoo import zoo_volumes
from crisp_core.segmentation.networks import load_network
from tests.polling import wait_for

ROOT = Path(__file__).parents[1]
# what the machine has besides Python (docs/performance.md)
MACHINE = ("torch", "timm", "torchvision", "scikit-image", "pandas", "h5py", "PyYAML", "requests", "tqdm")
# pytest imports its plugins by their entry points, which are here
PLUGINS = ("pytest-xdist",)
BLOCKER = """
from importlib.machinery import PathFinder

found = PathFinder.find_spec
PathFinder.find_spec = classmethod(
    lambda cls, name, *given: None if name.split(".")[0] in {absent} else found(name, *given)
)
"""


def distribution_name(text):
    """Normalised name of the distribution in a requirement."""
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", text)[0]).lower()


def with_requirements(names):
    """Installed distributions of these names, and all that they require."""
    found, waiting = set(), [distribution_name(name) for name in names]
    while waiting:
        name = waiting.pop()
        with contextlib.suppress(PackageNotFoundError):
            if name not in found:
                waiting += [distribution_name(one) for one in requires(name) or [] if "extra ==" not in one]
                found.add(name)
    return found


def absent_modules():
    """Modules that are installed here, but neither on the machine nor carried by gpu_pack.sh."""
    text = (ROOT / "benchmarks/gpu_pack.sh").read_text()
    carried = " ".join(re.findall(r'^(?:packages|from_source)="([^"]+)"', text, re.MULTILINE)).split()
    there = with_requirements(MACHINE + PLUGINS) | set(map(distribution_name, carried))
    return {
        module
        for module, owners in packages_distributions().items()
        if not there & set(map(distribution_name, owners)) and module.isidentifier()
    } - {"crisp_core", "tests", "benchmarks"}


MODELS = "../shared/data/models"
# examples/general.yaml, with fewer volumes and micrographs
FEW = {
    "zoo-train": {"n_micrographs": 3, "volume": [f"{MODELS}/1g*.cif.gz", f"{MODELS}/maps/polnet_5A_6utj.mrc.gz"]},
    "zoo-validation": {"n_micrographs": 2, "volume": [f"{MODELS}/1stm.cif.gz"]},
}


def small_general():
    """Config of the general network at a tiny size."""
    config = yaml.safe_load((ROOT / "examples/general.yaml").read_text())
    config["datasets"] = {name: config["datasets"][name] for name in FEW}
    for name, few in FEW.items():
        simulation = config["datasets"][name]["simulation"]
        simulation |= few | {"shape_px": [128, 128]}
        simulation["zoo"]["exclude"] = []
    config["datasets"]["zoo-train"]["split"]["train"] = 3
    config["datasets"]["zoo-validation"]["split"]["validation"] = 2
    general = config["networks"]["general"]
    general["training"] |= {"epochs": 1, "crops_per_micrograph": 4, "crops_per_step": 4, "crop_px": 32}
    general["prediction"] = {"tile_px": 64, "overlap_px": 16}
    return config | {"run": ["zoo-validation/general"]}


@pytest.fixture
def environment(tmp_path):
    folder = tmp_path / "without"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(BLOCKER.format(absent=absent_modules()))
    return os.environ | {"PYTHON": sys.executable, "PYTHONPATH": str(folder)}


def start(tmp_path, environment, *options):
    command = [ROOT / "benchmarks/gpu.sh", tmp_path / "out", "--rehearse", "--carried", tmp_path / "none", *options]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


@pytest.mark.real
@pytest.mark.slow
def test_all_parts_run_without_what_the_machine_lacks(shared_data, tmp_path, environment):
    config = tmp_path / "general.yaml"
    config.write_text(yaml.safe_dump(small_general()))
    environment["CRISP_TEST_DATA"] = str(shared_data)
    run = start(tmp_path, environment, "--general", config, *("--budget=agreement=200", "--budget=paper=200"))
    output, _ = run.communicate(timeout=520)
    assert run.returncode == 0, output
    parts = read_record(tmp_path / "out")["parts"]
    assert list(parts) == list(BUDGETS_S)
    assert all(part["status"].startswith("complete after") for part in parts.values())
    numbers = {name: part["numbers"] for name, part in parts.items()}
    assert numbers["agreement"]["disagreements"] == 0
    assert numbers["agreement"]["tests marked gpu, skipped"] >= 34 or torch.cuda.is_available()
    assert numbers["prediction"]["native/network_channels_last_bfloat16_compiled_ms"] > 0
    assert 0 < numbers["training"]["default/bfloat16/gpu_busy_share"]
    assert numbers["crf"]["logits, grid, published/forward_ms"] > 0
    assert 0 <= numbers["paper"]["iou"] <= numbers["paper"]["f1"] <= 1
    # one epoch with ten times the steps, or fewer where time is short
    assert numbers["general"]["epochs_wanted"] == 10
    trained = load_network(tmp_path / "out/general.pt")
    assert trained.facts.classes == ["background", "particle", "contaminant", "carbon"]
    assert trained.facts.input.diameter_px == pytest.approx(25)
    text = (tmp_path / "out/gpu.txt").read_text()
    assert re.search(r"native/as_the_workflow_per_s +[0-9.e+]+ +\(at least 5\)", text)


@pytest.mark.slow
@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGKILL], ids=lambda by: by.name)
def test_a_run_that_is_cut_off_leaves_its_numbers_and_no_process(tmp_path, environment, by):
    run = start(tmp_path, environment, "--only", "crf", "general", "training", "--budget", "training=500")
    try:
        wait_for(lambda: "default/float32/steps_per_s" in numbers_of(tmp_path / "out", "training"), seconds=300)
        parts = children(run.pid)
        assert parts
        os.killpg(run.pid, by)
        assert run.wait(timeout=30) != 0
        wait_for(lambda: not any(map(is_running, parts)), seconds=300)
    finally:
        run.kill()
    record = read_record(tmp_path / "out")
    assert json.loads((tmp_path / "out/gpu.json").read_text()) == record
    assert record["parts"]["training"]["numbers"]["default/float32/steps_per_s"] > 0
    assert "default/float32/steps_per_s" in (tmp_path / "out/gpu.txt").read_text()
    # it comes last, and was not reached
    assert "general" not in record["parts"]


@pytest.mark.slow
def test_a_part_over_its_budget_is_cut_off_and_the_next_one_runs(tmp_path, environment):
    run = start(tmp_path, environment, "--only", "training", "crf", "--budget=training=2", "--budget=crf=300")
    run.communicate(timeout=400)
    parts = read_record(tmp_path / "out")["parts"]
    assert run.returncode == 1
    assert parts["training"]["status"].startswith("cut off after 2 s of 2")
    assert parts["crf"]["status"].startswith("complete")


def numbers_of(folder, part):
    return read_record(folder)["parts"].get(part, {"numbers": {}})["numbers"]


def children(pid):
    """Processes that a process has started, on Linux."""
    stats = {path.parent.name: path.read_text().rsplit(")", 1)[1].split() for path in Path("/proc").glob("[0-9]*/stat")}
    own = {int(child) for child, fields in stats.items() if int(fields[1]) == pid}
    return own | {grandchild for child in own for grandchild in children(child)}


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_the_budgets_fit_into_nine_minutes():
    assert sum(BUDGETS_S.values()) <= TOTAL_S
    limit = re.search(r"timeout --kill-after=(\d+) (\d+)", (ROOT / "benchmarks/gpu.sh").read_text())
    assert TOTAL_S < int(limit[2]) and int(limit[1]) + int(limit[2]) <= 9 * 60
    assert chosen(None, ["paper"]) == [name for name in BUDGETS_S if name != "paper"]
    assert chosen(["crf", "agreement"], []) == ["agreement", "crf"]


def test_a_wrong_number_disagrees():
    exact = torch.linspace(1, 2, 1000, dtype=torch.float64)
    wrong, unknown = exact.clone(), exact.clone()
    wrong[500] *= 1.1
    unknown[500] = torch.nan
    added = {}
    rows = [(name, difference(values, exact), 1e-4) for name, values in {"wrong": wrong, "unknown": unknown}.items()]
    rows.append(("rounded", difference([exact.float()], [exact]), 1e-4))
    assert add_differences(added.update, rows) == ["wrong", "unknown"]
    assert "DISAGREES" in added["unknown"] and "DISAGREES" not in added["rounded"]


def test_every_number_is_in_both_files_at_once(tmp_path):
    set_status(tmp_path, "crf", "running")
    for i in range(3):
        add_numbers(tmp_path, "crf", {f"number {i}": i + 0.5})
        assert len(numbers_of(tmp_path, "crf")) == i + 1
        assert f"number {i}" in (tmp_path / "gpu.txt").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["gpu.json", "gpu.txt"]


def test_tests_that_need_a_gpu_are_marked():
    # conftest.py skips them by their mark, and the run finds them by it
    for path in (ROOT / "tests").rglob("test_*.py"):
        if path != Path(__file__):
            assert "cuda.is_available" not in path.read_text(), path


@pytest.mark.real
@pytest.mark.slow
def test_what_is_carried_is_small_and_for_the_machine(shared_data, tmp_path, monkeypatch):
    command = [ROOT / "benchmarks/gpu_pack.sh", "--into", tmp_path / "pack", "--data", shared_data]
    done = subprocess.run(command, env=os.environ | {"PYTHON": sys.executable}, capture_output=True, text=True)
    if "Could not find a version" in done.stderr:
        pytest.skip("no package registry can be reached")
    assert done.returncode == 0, done.stderr
    files = [path for path in (tmp_path / "pack").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 60 * 2**20
    # the general network's own config finds its models and maps there
    monkeypatch.setenv("CRISP_TEST_DATA", str(tmp_path / "pack/data"))
    plan = read_plan(ROOT / "examples/general.yaml")
    assert len(zoo_volumes(plan, "zoo-train")) == 165 and len(zoo_volumes(plan, "zoo-validation")) == 11
    wheels = [path.name for path in files if path.suffix == ".whl"]
    assert {re.match(r"\w+?-", name)[0] for name in wheels} >= {
        *("segmentation_models_pytorch-", "mrcfile-", "starfile-", "trackpy-", "gemmi-", "finufft-", "hypothesis-"),
    }
    assert all(re.search(r"-(py3|py2\.py3|cp312)-\w+-(any|manylinux.*x86_64)\.whl$", name) for name in wheels)
