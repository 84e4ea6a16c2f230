"""Figure of particle images in rows."""

import numpy as np
from matplotlib.figure import Figure

from crisp_core.figures.entry import REPORT_PAGE, FigureEntry
from crisp_core.figures.style import new_figure, show_grey


def draw_montage(stack: np.ndarray, *, columns: int = 10) -> Figure:
    """Draw particle images (n, h, w) in rows, all with the same contrast."""
    n, height, width = stack.shape
    n_columns = max(1, min(columns, n))
    n_rows = max(1, -(-n // n_columns))
    gap = 2
    sheet = np.full((n_rows * (height + gap) - gap, n_columns * (width + gap) - gap), np.nan, dtype=np.float32)
    for i, particle in enumerate(stack):
        y, x = (i // n_columns) * (height + gap), (i % n_columns) * (width + gap)
        sheet[y : y + height, x : x + width] = particle
    figure = new_figure(n_columns, n_rows * height / width + 0.1)
    axes = figure.subplots()
    show_grey(axes, sheet)
    axes.set_axis_off()
    return figure


def example() -> Figure:
    """Draw 13 noise images."""
    return draw_montage(np.random.default_rng(0).normal(size=(13, 20, 24)))


FIGURE = FigureEntry(
    name="montage",
    title="Particle images in rows",
    caption="Extracted particles, taken from the stacks at equal distances, low-passed.",
    source="results/<dataset>/<experiment>/particles/<batch>.mrcs",
    file=REPORT_PAGE,
    draw=draw_montage,
    example=example,
)
AVERAGE_FIGURE = FIGURE._replace(
    name="average",
    title="Mean particle image",
    caption="Mean of unaligned particles: round if orientations are random, sharp if picks are centred.",
)
