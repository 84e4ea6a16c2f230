"""All figures. The captions of the report page, the table of the documentation and a test come from this list.

`python -m crisp_core.figures.registry > docs/figures.md` writes the page of the documentation.
"""

import re
from pathlib import PurePath

from crisp_core.figures import (
    calibration,
    crf,
    experiments,
    histograms,
    montage,
    noise,
    overlap,
    overlays,
    pick_counts,
    precision_recall,
    resolution,
    score_histogram,
    search,
    training,
)
from crisp_core.figures.entry import REPORT_PAGE, FigureEntry

FIGURES = (
    training.FIGURE,
    training.CRF_FIGURE,
    crf.FIGURE,
    search.FIGURE,
    precision_recall.FIGURE,
    calibration.FIGURE,
    overlays.FIGURE,
    score_histogram.FIGURE,
    pick_counts.FIGURE,
    montage.FIGURE,
    montage.AVERAGE_FIGURE,
    experiments.FIGURE,
    histograms.FIGURE,
    precision_recall.COMPARISON_FIGURE,
    overlap.FIGURE,
    resolution.FIGURE,
    noise.FIGURE,
)
BY_NAME = {entry.name: entry for entry in FIGURES}


def figure_of_file(path: str) -> FigureEntry | None:
    """Return the entry of a figure's file, None for a file that is not a figure of the registry."""
    written = [entry for entry in FIGURES if entry.file != REPORT_PAGE]
    return next((entry for entry in written if PurePath(path).match(re.sub(r"<\w+>", "*", entry.file))), None)


def documentation_page() -> str:
    """Write the page `docs/figures.md`."""
    lines = [
        "# Figures",
        "",
        "Generated from `crisp_core/figures/registry.py`. CONTRIBUTING.md shows how to add a figure.",
        "",
        "| figure | how to read it | file | data |",
        "|---|---|---|---|",
    ]
    for entry in FIGURES:
        file = entry.file if entry.file == REPORT_PAGE else f"`{entry.file}`"
        lines.append(f"| {entry.title} | {entry.caption} | {file} | `{entry.source}` |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(documentation_page(), end="")
