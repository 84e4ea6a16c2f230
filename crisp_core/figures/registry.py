"""All figures. The captions of the report page, a page of the documentation and the tests come from this list."""

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
    sizes,
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
    sizes.FIGURE,
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
