"""The documentation: the site builds, and every command in it is run by a test, planned here, or says what it needs."""

import os
import re
import shlex
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from crisp_core import write_coordinates, write_mrc
from docs.generators.rules import rules_of
from tests.conftest import ROOT
from tests.workflow.conftest import run_snakemake

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"(?:<!-- ([^\n]*?) -->\n)?^( *)```bash\n(.*?)^ *```", re.M | re.S)
# what the comment before a block of commands may say
RUNS, NEEDS, PLANNED = "runs in: ", "needs: ", "plans"
# the README's two commands to set up; .ci/run reads the second
SET_UP = ("run command", "test command")


def blocks(mark):
    """Page, comment and text of the blocks of commands whose comment begins with `mark`."""
    for page in PAGES:
        for comment, _, text in BLOCK.findall(page.read_text()):
            if comment.startswith(mark):
                yield page, comment, text


def commands():
    """Calls of snakemake in the blocks that are planned here, and in the README's table of three ways."""
    for _, _, text in blocks(PLANNED):
        yield from (
            line for line in text.replace("\\\n", " ").splitlines() if line.strip() and not line.startswith("#")
        )
    yield from re.findall(r"`(snakemake [^`]+)`", (ROOT / "README.md").read_text())


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_block_of_commands_says_where_it_runs(page):
    for comment, _, text in BLOCK.findall(page.read_text()):
        assert comment in (*SET_UP, PLANNED) or comment.startswith((RUNS, NEEDS)), f"comment before: {text}"


def test_targets_after_config_files_are_behind_two_dashes():
    """Snakemake takes all words after --configfile, to the next option, as config files."""
    texts = [path.read_text() for path in (*PAGES, *(ROOT / "examples").glob("*.yaml"))]
    called = [
        words for text in texts for words in re.findall(r"snakemake [^\n`]*--configfile((?: [^\s`-][^\s`]*)+)", text)
    ]
    assert len(called) > 20
    for words in called:
        files = [word.strip("';:") for word in words.split() if word not in ("FILE", "\\")]
        assert all(file.endswith(".yaml") for file in files), words


def test_the_tests_that_run_commands_exist():
    named = [comment.removeprefix(RUNS) for _, comment, _ in blocks(RUNS)]
    assert named
    for path in named:
        assert (ROOT / path).is_file(), path


def test_every_rule_with_a_script_is_listed():
    written = {path.stem for path in (ROOT / "workflow_scripts").glob("*.py")}
    found = [rule for path in (ROOT / "rules").glob("*.smk") for rule in rules_of(path)]
    assert {rule.script for rule in found} == written
    assert all(rule.outputs for rule in found)


@pytest.fixture(scope="session")
def planned_folder(tmp_path_factory, shared_data):
    """A folder in which the commands of the documentation find their configs and micrographs; no image is read."""
    above = tmp_path_factory.mktemp("above")
    folder = above / "crisp"
    (folder / "movies/MotionCorr").mkdir(parents=True)
    (folder / "picks").mkdir()
    for index in range(9):
        image = np.random.default_rng(index).normal(size=(512, 512)).astype("float32")
        write_mrc(folder / f"movies/MotionCorr/mic{index}.mrc", image, pixel_size=1.06, dtype="float32")
        table = pd.DataFrame({"micrograph": f"mic{index}", "x": [200.0, 300.0], "y": [200.0, 300.0], "score": 1.0})
        write_coordinates(folder / f"picks/mic{index}.star", table, format="relion")
    shutil.copy(ROOT / "examples/your-own-data.yaml", folder / "my-data.yaml")
    for link, target in (("examples", ROOT / "examples"), ("config.yaml", ROOT / "config.yaml")):
        (folder / link).symlink_to(target)
    # the micrographs of a run without a config file
    (folder / "data").symlink_to(folder / "movies/MotionCorr")
    (above / "shared").mkdir()
    (above / "shared/data").symlink_to(shared_data)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("command", sorted(set(commands())))
def test_commands_can_be_planned(command, planned_folder):
    program, *arguments = shlex.split(command)
    assert program == "snakemake", command
    options = ["-n", "-q", "-s", ROOT / "Snakefile", "--directory", planned_folder, *arguments]
    done = run_snakemake(*map(str, options), cwd=planned_folder, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", tmp_path / "site"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    pages = "".join(path.read_text() for path in (tmp_path / "site").rglob("*.html"))
    loaded = re.findall(r'<(?:script|img|link)[^>]* (?:src|href)="?(https?://[^" >]+)', pages)
    assert not loaded, f"loaded from a network: {set(loaded)}"
