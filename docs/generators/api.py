"""The page of the Python API: mkdocstrings fills it from the docstrings."""

from pathlib import Path

INTRODUCTION = """# Python API

`pip install .` installs the package `crisp_core`, which needs no Snakemake. The public names can be imported from
`crisp_core` itself; the [example of a notebook](../../examples/pick_one_micrograph.py) uses them. Each package imports
only from itself and from the packages above it ([design](../design.md#packages)).
"""


def api_page(root: Path) -> str:
    """Public names first, then the modules of every package."""
    core = root / "crisp_core"
    packages = package_order(root)
    single = sorted(path for path in core.glob("*.py") if path.stem not in ("__init__", "pipeline"))
    sections = [("Foundations", single)]
    sections += [
        (name, sorted((core / name).rglob("*.py")) if (core / name).is_dir() else [core / f"{name}.py"])
        for name in packages
    ]
    return "\n".join([INTRODUCTION, *(package_section(name, paths, root) for name, paths in sections)])


def package_order(root: Path) -> list[str]:
    """Packages in the order of the table in docs/design.md."""
    table = (root / "docs/design.md").read_text().partition("| package |")[2]
    return [line.split("`")[1] for line in table.splitlines() if line.startswith("| `")]


def package_section(name: str, paths: list[Path], root: Path) -> str:
    """A heading, and one directive of mkdocstrings per module that holds code."""
    modules = [path for path in paths if path.name != "__init__.py"]
    directives = [
        f"::: {'.'.join(path.relative_to(root).with_suffix('').parts)}\n    options: {{heading_level: 3}}\n"
        for path in modules
    ]
    return "\n".join([f"## {name}\n", *directives])
