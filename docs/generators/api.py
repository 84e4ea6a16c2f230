"""The pages of the Python API: mkdocstrings fills them from the docstrings."""

from pathlib import Path

INTRODUCTION = """# Python API

`pip install .` installs the package `crisp_core`, which needs no Snakemake. `import crisp_core` gives the public names;
the [example of a notebook](../../examples/pick_one_micrograph.py) uses them. Each package imports only from itself and
from the packages above it ([design](../design.md#packages)).

| package | modules |
|---|---|
"""
PUBLIC = "\n## Public names\n"
FOUNDATIONS = "foundations"


def api_pages(root: Path) -> dict[str, str]:
    """Path and text of every page: an overview, and a page per package."""
    packages = {name: modules(root, name) for name in (FOUNDATIONS, *package_order(root))}
    pages = {f"reference/api-{name}.md": package_page(name, names) for name, names in packages.items()}
    rows = [f"| [{name}](api-{name}.md) | {', '.join(map(short, names))} |" for name, names in packages.items()]
    return {"reference/api.md": "\n".join([INTRODUCTION.rstrip(), *rows, PUBLIC, *public_names()]), **pages}


def public_names() -> list[str]:
    """Links to the public names."""
    from crisp_core import PUBLIC as public

    return [f"- [`{name}`][crisp_core.{module}.{name}]" for name, module in public.items()]


def package_order(root: Path) -> list[str]:
    """Packages in the order of the table in docs/design.md."""
    table = (root / "docs/design.md").read_text().partition("| package |")[2]
    return [line.split("`")[1] for line in table.splitlines() if line.startswith("| `")]


def modules(root: Path, package: str) -> list[str]:
    """Names of the modules of a package, of a single module, or of the foundations."""
    core = root / "crisp_core"
    files = sorted((core / package).rglob("*.py")) if (core / package).is_dir() else [core / f"{package}.py"]
    if package == FOUNDATIONS:
        files = sorted(set(core.glob("*.py")) - {core / f"{name}.py" for name in package_order(root)})
    return [
        ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
        for path in files
        if path != core / "__init__.py"
    ]


def package_page(name: str, names: list[str]) -> str:
    """Page of one package: a directive of mkdocstrings per module."""
    return "\n".join([f"# {name}\n", *map(directive, names)])


def directive(name: str) -> str:
    """Line by which mkdocstrings inserts an object of the code."""
    return f"::: {name}\n"


def short(name: str) -> str:
    """Name of a module without the package crisp_core."""
    return f"`{name.removeprefix('crisp_core.')}`"
