"""The page of the figures, from the registry."""

from pathlib import Path

from crisp_core.figures.entry import REPORT_PAGE
from crisp_core.figures.registry import FIGURES

INTRODUCTION = """# Figures

Figures of the [report](../report.md) and of the folders of results. How to add a figure:
[contributing](../../CONTRIBUTING.md).

| figure | how to read it | file | data |
|---|---|---|---|
"""


def figures_page(root: Path) -> str:
    """A row for every figure of the registry."""
    rows = []
    for entry in FIGURES:
        file = entry.file if entry.file == REPORT_PAGE else f"`{entry.file}`"
        rows.append(f"| {entry.title} | {entry.caption} | {file} | `{entry.source}` |\n")
    return INTRODUCTION + "".join(rows)
