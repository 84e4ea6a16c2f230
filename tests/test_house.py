"""The order of the rooms: which package of crisp_core may import which, and how long a module may be."""

import ast
from pathlib import Path

import pytest

from tests.conftest import ROOT

# A package imports from itself and from those before it, never from those after it. docs/design.md has the same list.
PACKAGES = (
    "formats",
    "datasets",
    "simulation",
    "preparation",
    "labels",
    "particles",
    "reconstruction",
    "segmentation",
    "evaluation",
    "picking",
    "pickers",
    "figures",
    "report",
    "settings",
    "plan",
    "external",
    "cli",
    "pipeline",
)
CORE = ROOT / "crisp_core"
MODULES = sorted(CORE.rglob("*.py"))


def floor(module):
    """Place of a module in the order: foundations, single modules beside the packages, are on floor 0."""
    name = module.split(".")[1] if "." in module else ""
    return PACKAGES.index(name) + 1 if name in PACKAGES else 0


def module_name(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("crisp_core."))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("crisp_core"):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_a_module_imports_from_no_later_package(path):
    above = [name for name in imported(path) if floor(name) > floor(module_name(path))]
    assert not above, f"{module_name(path)} imports {above}"


@pytest.mark.parametrize(("folder", "most"), [("crisp_core", 350), ("workflow_scripts", 60)])
def test_modules_and_scripts_are_short(folder, most):
    lengths = {path.relative_to(ROOT): len(path.read_text().splitlines()) for path in (ROOT / folder).rglob("*.py")}
    assert {path: n for path, n in lengths.items() if n > most} == {}


def test_every_package_has_its_place_in_the_order():
    packages = {path.parent.name for path in CORE.glob("*/__init__.py")}
    assert packages == set(PACKAGES) - {"pipeline"}


def test_the_design_lists_the_packages_in_their_order():
    text = (ROOT / "docs/design.md").read_text()
    table = text[text.index("| package |") :]
    assert [line.split("`")[1] for line in table.splitlines() if line.startswith("| `")] == list(PACKAGES)


def test_tests_mirror_the_packages():
    folders = {path.parent.relative_to(ROOT / "tests") for path in (ROOT / "tests").rglob("*.py")}
    known = {path.parent.relative_to(CORE) for path in CORE.rglob("*/__init__.py")} | {Path("workflow")}
    assert folders - {Path()} <= known
