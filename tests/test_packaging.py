"""The library as a package: what it needs, what its wheel holds, and that it imports elsewhere."""

import ast
import os
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from crisp_core.errors import UserError
from crisp_core.formats.mrc import write_mrc
from crisp_core.installation import check_same_workflow
from tests.test_environment import ROOT, pins
from tests.workflow.conftest import PARTS, copy_workflow, run_snakemake, write_config

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
# programs that load modules of the library in their own environment: the CCP-EM pipeliner
HOSTS = {"pipeliner"}
# of a wheel, beside Python files
DATA_SUFFIXES = (".html", ".css", ".js", ".pt", ".yaml", ".tsv")


def names(requirements):
    return {canonicalize_name(Requirement(line).name) for line in requirements}


def test_the_pinned_versions_are_in_the_declared_ranges():
    pinned = dict(line.split(" ;")[0].split("==") for line in pins("requirements.txt") + pins("requirements-test.txt"))
    pinned = {canonicalize_name(name): version for name, version in pinned.items()}
    declared = [Requirement(line) for lines in (PROJECT["dependencies"], *EXTRAS.values()) for line in lines]
    for requirement in declared:
        name = canonicalize_name(requirement.name)
        assert name == "crisp" or requirement.specifier.contains(pinned[name]), str(requirement)


def test_what_the_library_imports_is_declared():
    distributions = packages_distributions()
    declared = names(PROJECT["dependencies"] + EXTRAS["topaz"] + EXTRAS["aspire"])
    for path in sorted((ROOT / "crisp_core").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            for module in (
                {module.split(".")[0] for module in modules} - sys.stdlib_module_names - {"crisp_core", *HOSTS}
            ):
                assert names(distributions[module]) & declared, f"{path}: {module}"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Folder into which pip installed the library, without a network."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("site")
    copy_workflow(source)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--no-compile", "--target", target]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, source], check=True)
    return target


def files(folder):
    suffixes = (".py", *DATA_SUFFIXES)
    return {str(path.relative_to(folder)) for path in (folder / "crisp_core").rglob("*") if path.suffix in suffixes}


def test_the_wheel_holds_the_library_with_its_data_and_nothing_else(installed):
    assert (
        files(installed)
        == files(ROOT)
        >= {
            "crisp_core/report/viewer.js",
            "crisp_core/segmentation/shipped/general.pt",
            "crisp_core/segmentation/shipped/general.yaml",
        }
    )
    assert {path.name.split("-")[0] for path in installed.iterdir()} == {"crisp_core", "crisp", "bin", "share"}
    assert [path.name for path in (installed / "bin").iterdir()] == ["crisp"]
    (metadata,) = installed.glob("crisp-*.dist-info")
    assert "License-Expression: GPL-3.0-or-later" in (metadata / "METADATA").read_text()
    assert (metadata / "licenses/LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


def run_python(code, *, installed, cwd):
    """What a fresh Python prints that finds the installed library and not the checkout."""
    command = [sys.executable, "-c", code]
    environment = os.environ | {"PYTHONPATH": str(installed)}
    return subprocess.run(command, cwd=cwd, env=environment, check=True, capture_output=True, text=True).stdout.split()


def test_the_installed_library_imports_in_an_empty_folder(installed, tmp_path):
    code = "import crisp_core, crisp_core.report.page as page, crisp_core.formats.images; print(crisp_core.__file__); "
    code += "print(all((page.FOLDER / name).is_file() for name in ('page.html', 'style.css', 'viewer.js')))"
    path, found = run_python(code, installed=installed, cwd=tmp_path)
    assert Path(path) == installed / "crisp_core/__init__.py" and found == "True"
    assert not list(tmp_path.iterdir())


def test_importing_the_package_is_light(installed, tmp_path):
    code = "import sys; before = set(sys.modules); import crisp_core; print(crisp_core.__version__); "
    code += "print(*{name.split('.')[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names))"
    version, *modules = run_python(code, installed=installed, cwd=tmp_path)
    assert modules == ["crisp_core"]
    (metadata,) = installed.glob("crisp-*.dist-info")
    assert metadata.name == f"crisp-{version}.dist-info"


def workflow_files(folder):
    """Files of the workflow, by their paths in a folder; profiles belong to a copy of the repository alone."""
    parts = [folder / part for part in PARTS if part not in ("crisp_core", "profiles")]
    files = [file for part in parts for file in (part.rglob("*.*") if part.is_dir() else [part])]
    return {str(file.relative_to(folder)): file.read_bytes() for file in files if file.suffix != ".pyc"}


def test_the_wheel_holds_the_workflow(installed, tmp_path):
    assert workflow_files(installed / "share/crisp") == workflow_files(ROOT)
    found = run_python("import crisp_core; print(crisp_core.snakefile())", installed=installed, cwd=tmp_path)
    assert found == [str(installed / "share/crisp/Snakefile")]


WEB = 'github("example/crisp", path="workflow/Snakefile", tag="v1")'
MODULE = f"""
configfile: "config.yaml"


module crisp:
    snakefile:
        {WEB}
    config:
        config
    prefix:
        "picking"


use rule * from crisp as crisp_*
"""


def git(*arguments, cwd):
    """Run git, with an author that no setting of the user changes."""
    author = {f"GIT_{role}_{key}": "test" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")}
    subprocess.run(["git", *arguments], cwd=cwd, env=os.environ | author, check=True, capture_output=True)


@pytest.fixture
def project(installed, tmp_path, monkeypatch):
    """Folder with a config and a micrograph; Snakemake finds the installed version as version v1 on GitHub."""
    source = tmp_path / "source"
    shutil.copytree(installed / "share/crisp", source)
    shutil.copytree(ROOT / "workflow", source / "workflow")
    for arguments in (["init"], ["add", "."], ["commit", "--message", "first"], ["tag", "v1"]):
        git(*arguments, cwd=source)
    cached = tmp_path / "cache/snakemake/snakemake/source-cache/snakemake-git-cache/github.com/example"
    cached.mkdir(parents=True)
    git("clone", "--bare", source, cached / "crisp", cwd=tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", str(installed))
    image = np.random.default_rng(1).normal(size=(192, 224))
    write_mrc(tmp_path / "mic.mrc", image, pixel_size=7.08, dtype="float32")
    mine = {"micrographs": "mic.mrc", "pixel_size": 7.08, "particle_diameter_angstrom": 180}
    config = {"run": ["mine/general"], "datasets": {"mine": mine}, "experiments": {"general": {"network": "general"}}}
    write_config(tmp_path / "config.yaml", config)
    return tmp_path


@pytest.mark.slow
def test_modules_from_the_web_and_of_the_package_run_with_the_installed_package(project):
    call = ("--cores", "1", "picking/results/mine/images/0000.h5")
    (project / "Snakefile").write_text(MODULE)
    run_snakemake(*call, cwd=project)
    assert (project / "picking/results/mine/images/0000.h5").exists()
    # the other form is the same workflow with the same digests; Snakemake's own comparison of code sees other paths
    (project / "Snakefile").write_text("import crisp_core\n" + MODULE.replace(WEB, "crisp_core.snakefile()"))
    triggers = ("--rerun-triggers", "mtime", "params", "input")
    assert "Nothing to be done" in run_snakemake("-n", *triggers, *call, cwd=project).stdout


def test_a_module_of_another_version_is_refused(tmp_path):
    copy = copy_workflow(tmp_path / "copy")
    check_same_workflow(copy, lambda name: str(copy / name))
    script = copy / "workflow_scripts/train.py"
    # git show gives no last line break
    script.write_text(script.read_text().rstrip())
    check_same_workflow(copy, lambda name: str(copy / name))
    script.write_text(script.read_text() + "\nchanged = True\n")
    with pytest.raises(UserError, match=r"workflow_scripts/train\.py: the module is of another version of CRISP than"):
        check_same_workflow(copy, lambda name: str(copy / name))
