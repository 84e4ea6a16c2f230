"""The workflow's text: format, lint, and a plan for every shipped config."""

import re
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from .conftest import ROOT, TINY, run_snakemake, write_config
from .loaded import names_in_script, read_rules

DRAWN = TINY["datasets"]["tiny"]
SCRIPTS = ROOT / "workflow_scripts"


@pytest.fixture(scope="module")
def rules():
    return read_rules()


def test_every_rule_that_computes_has_log_benchmark_memory_and_time(rules):
    """A cluster ends a job without memory and time of its own by the defaults of its partition."""
    assert len(rules) > 50
    for name, rule in rules.items():
        assert rule["log"], name
        assert rule["is_local"] or rule["benchmark"], name
        assert rule["is_local"] or {"mem_mb", "runtime"} <= set(rule["resources"]), name


def test_rules_with_a_gpu_are_those_that_the_profile_sends_to_the_partition_of_gpus(rules):
    profile = yaml.safe_load((ROOT / "profiles/slurm/profile.v9+.yaml").read_text())
    sent = {name for name, resources in profile["set-resources"].items() if resources["slurm_partition"] == "gpu"}
    assert sent == {name for name, rule in rules.items() if "gpu" in rule["resources"]}


def test_every_name_that_a_script_takes_is_in_each_of_its_rules(rules):
    seen = set()
    for name, rule in rules.items():
        seen.add(rule["script"])
        for kind, key in names_in_script(SCRIPTS / f"{rule['script']}.py"):
            assert key in rule[kind], f"{name} has no {kind}.{key}, which {rule['script']}.py takes"
    assert seen == {path.stem for path in SCRIPTS.glob("*.py")}


def test_rules_and_scripts_stay_short():
    text = [(ROOT / "Snakefile").read_text(), *(path.read_text() for path in sorted((ROOT / "rules").glob("*.smk")))]
    blocks = re.findall(r"^(?:use )?rule .*\n(?:(?:    .*)?\n)+", "\n".join(text), re.M)
    lengths = [len([line for line in block.splitlines() if line]) for block in blocks]
    assert len(lengths) > 60 and statistics.median(lengths) <= 15 and max(lengths) <= 30
    for path in SCRIPTS.glob("*.py"):
        assert len(path.read_text().splitlines()) <= 60, path.name


def test_rules_that_make_the_same_file_have_the_same_outputs():
    """Snakemake reruns a file for another rule only if it has records of all outputs of that rule."""
    outputs = {}
    for path in sorted((ROOT / "rules").glob("*.smk")):
        for block in re.findall(r"^(?:use )?rule .*\n(?:(?:    .*)?\n)+", path.read_text(), re.M):
            listed = re.search(r"^    output:\n((?:        .*\n)+)", block, re.M)
            outputs[block.split(":")[0]] = set(re.findall(r'"(results/[^"]*)"', listed[1] if listed else ""))
    # the other outputs of import_picks are inputs of further rules, so that they are made
    known = {"results/{dataset}/{experiment}/quarantine.tsv"}
    shared = {(a, b) for a, x in outputs.items() for b, y in outputs.items() if (x & y) - known and x != y}
    assert len(outputs) > 60 and shared == set()


def test_names_of_a_script_are_found(tmp_path):
    path = tmp_path / "script.py"
    path.write_text(
        "params, given = snakemake.params, snakemake.input\n"
        "out = snakemake.output\n"
        "use(params.a, given['b'], out.c, snakemake.wildcards.d, given.get('e'), out[0], snakemake.params.items())\n"
    )
    assert names_in_script(path) == {("params", "a"), ("input", "b"), ("output", "c"), ("wildcards", "d")}


def test_snakefmt_is_clean():
    snakefmt = Path(sys.executable).with_name("snakefmt")
    done = subprocess.run([snakefmt, "--check", "Snakefile", "rules"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_ruff_is_clean():
    ruff = Path(sys.executable).with_name("ruff")
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run([ruff, *command, "."], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_lint_is_clean():
    assert "Congratulations" in run_snakemake("--lint", cwd=ROOT).stdout


@pytest.mark.slow
def test_types_are_clean(tmp_path):
    command = [sys.executable, "-m", "mypy", "--cache-dir", tmp_path]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_the_default_run_is_the_base_of_no_other(tmp_path):
    """Without a config file it is read, --config alone changes it; with one, nothing comes from it."""
    # Snakemake reads no config file of the folder in which it is called
    (tmp_path / "config.yaml").write_text("run: [nothing/here]\n")
    arguments = ("-n", "-s", ROOT / "Snakefile", "--directory", tmp_path)
    assert "rule simulate:" in run_snakemake(*arguments, cwd=tmp_path).stdout
    small = run_snakemake(*arguments, "--config", "micrographs_per_job=8", cwd=tmp_path).stdout
    assert re.search(r"^simulate +2$", small, re.M)
    given = {"run": ["embedded/unet"], "experiments": {"mine": {}}, "datasets": {"drawn": {}}}
    for changed, message in (
        ({"run": None}, "config, top level: run is missing; "),
        ({"datasets": {"drawn": DRAWN}}, "is not an entry of datasets; defined are drawn"),
        ({"datasets": {"embedded": DRAWN}}, "is not an entry of experiments; defined are mine"),
    ):
        config = {key: value for key, value in (given | changed).items() if value is not None}
        path = write_config(tmp_path / "given.yaml", config)
        done = run_snakemake(*arguments, "--configfile", path, "--config", "seed=3", cwd=tmp_path, check=False)
        assert done.returncode == 1 and message in done.stdout


def test_default_run_has_a_plan(tmp_path):
    output = run_snakemake("-n", "-s", ROOT / "Snakefile", cwd=tmp_path).stdout
    assert re.search(r"^train +1$", output, re.M)


@pytest.mark.slow
def test_profile_slurm_resolves(tmp_path):
    output = run_snakemake("--profile", "slurm", "-n", "--directory", tmp_path, cwd=ROOT).stdout
    assert "Using profiles slurm" in output and re.search(r"^train +1$", output, re.M)


@pytest.mark.slow
@pytest.mark.real
@pytest.mark.parametrize("example", ["empiar-10017", "one-network-two-datasets"])
def test_example_of_real_data_has_a_plan(shared_data, tmp_path, example):
    folder = tmp_path / "crisp"
    folder.mkdir()
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared/data").symlink_to(shared_data)
    config = ROOT / f"examples/{example}.yaml"
    output = run_snakemake("-s", ROOT / "Snakefile", "-n", "--configfile", config, cwd=folder).stdout
    assert "label_disc" in output and "simulate" not in output
    assert re.search(r"^train +1$", output, re.M)
    shutil.rmtree(folder)


@pytest.mark.slow
@pytest.mark.real
@pytest.mark.parametrize(("table", "n_trainings"), [("encoders", 33), ("deeplabv3", 9), ("losses", 15)])
def test_the_papers_tables_are_planned_over_three_seeds(shared_data, tmp_path, table, n_trainings):
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared/data").symlink_to(shared_data)
    (tmp_path / "crisp").mkdir()
    examples = [ROOT / "examples" / name for name in ("empiar-10017-synthetic.yaml", "paper-tables.yaml")]
    target = f"results/empiar-10017-synthetic/tables/{table}.png"
    done = run_snakemake(
        "-n", "-s", ROOT / "Snakefile", "--configfile", *examples, "--", target, cwd=tmp_path / "crisp"
    )
    assert re.search(rf"^train +{n_trainings}$", done.stdout, re.M)
