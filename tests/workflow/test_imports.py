"""Libraries that a script imports at its start, by reading the files: the start of a job costs seconds of them."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from .conftest import ROOT

SCRIPTS = {path.stem: path for path in sorted((ROOT / "workflow_scripts").glob("*.py"))}
NETWORK_SCRIPTS = {"measure_doubt", "plot_crf", "predict", "tabulate", "train", "train_crf", "tune_crf"}
# scripts that import a library at their start; each costs 1 to 5 s of a processor
ALLOWED = {
    "torch": NETWORK_SCRIPTS | {"label_clicks"},
    "segmentation_models_pytorch": NETWORK_SCRIPTS,
    "matplotlib": {name for name in SCRIPTS if name.startswith("plot_")}
    | {"annotation_page", "measure_sizes", "report_data", "report_index", "report_page"},
    "scipy.stats": set(),
    "scipy.signal": set(),
    "scipy.optimize": set(),
}


def statements_at_start(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements that run when a module is imported, those of classes and branches too."""
    for node in body:
        yield node
        if isinstance(node, ast.FunctionDef) or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)):
            continue
        for field in ("body", "orelse", "finalbody"):
            yield from statements_at_start(getattr(node, field, None) or [])


@cache
def imported_at_start(path: Path) -> frozenset[str]:
    """Names of the modules that one file imports itself, `from a import b` as a and as a.b."""
    names = set()
    for node in statements_at_start(ast.parse(path.read_bytes()).body):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(names)


def files_of(module: str) -> list[Path]:
    """Files that Python runs to import a module of crisp_core."""
    path = ROOT / Path(*module.split("."))
    packages = [folder / "__init__.py" for folder in (path, *path.parents) if ROOT in folder.parents]
    return [file for file in (path.with_suffix(".py"), *packages) if file.is_file()]


@cache
def libraries(script: Path) -> set[str]:
    """All modules that a script imports at its start, directly or through modules of crisp_core."""
    todo, done, names = [script], set(), set()
    while todo:
        path = todo.pop()
        done.add(path)
        found = imported_at_start(path)
        names |= found
        todo += {file for name in found if name.startswith("crisp_core") for file in files_of(name)} - done
    return names


@pytest.mark.parametrize("library", ALLOWED)
def test_only_the_scripts_that_need_a_heavy_library_import_it(library):
    found = {
        name for name, path in SCRIPTS.items() if any(f"{each}.".startswith(f"{library}.") for each in libraries(path))
    }
    assert found == ALLOWED[library]
