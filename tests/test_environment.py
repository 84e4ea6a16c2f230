"""The pinned versions are the same everywhere."""

import re
from importlib.metadata import version
from pathlib import Path

import yaml

import crisp_core

ROOT = Path(__file__).parents[1]


def pins(file):
    lines = (ROOT / file).read_text().splitlines()
    return [line for line in lines if line and not line.startswith(("#", "-r"))]


def test_every_requirement_is_pinned_to_one_version():
    for line in pins("requirements.txt") + pins("requirements-test.txt"):
        assert re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][^ ]*( ; sys_platform == \"linux\")?", line), line


def test_conda_environment_has_the_same_pins():
    conda = yaml.safe_load((ROOT / "envs/crisp.yaml").read_text())
    (pip,) = (entry["pip"] for entry in conda["dependencies"] if isinstance(entry, dict))
    assert pip == pins("requirements.txt")


def test_the_version_to_cite_is_this_one():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["cff-version"] == "1.2.0" and {"message", "title", "authors"} <= citation.keys()
    assert citation["version"] == crisp_core.__version__


def test_the_environment_that_runs_the_tests_has_these_versions():
    for line in pins("requirements.txt"):
        name, wanted = line.split(" ;")[0].split("==")
        assert version(name) == wanted
