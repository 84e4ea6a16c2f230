"""The library as a package: what it needs, what its wheel holds, and that it imports elsewhere."""

import ast
import os
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.test_environment import ROOT, pins

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
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "crisp_core", source / "crisp_core", ignore=shutil.ignore_patterns("__pycache__"))
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
    assert {path.name.split("-")[0] for path in installed.iterdir()} == {"crisp_core", "crisp", "bin"}
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
