"""Figure of the agreement between the picks of several entries."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from crisp_core.figures.entry import FigureEntry
from crisp_core.figures.style import new_figure


def draw_overlap(shares: pd.DataFrame) -> Figure:
    """Draw a table of shares between 0 and 1 as a matrix; index and columns name the entries."""
    side = 2.2 + 0.62 * len(shares)
    figure = new_figure(side + 1.6, side)
    axes = figure.subplots()
    shown = axes.imshow(shares, cmap="cividis", vmin=0, vmax=1)
    for (i, j), value in np.ndenumerate(shares.to_numpy(float)):
        text = "–" if np.isnan(value) else f"{value:.2f}"
        axes.text(j, i, text, ha="center", va="center", fontsize=8, color="white" if value < 0.55 else "black")
    axes.set_xticks(range(len(shares.columns)), shares.columns, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(shares)), shares.index)
    axes.set(title="Share of the row's picks that match the column's")
    figure.colorbar(shown, ax=axes, fraction=0.046, pad=0.03)
    return figure


def example() -> Figure:
    """Draw the agreement of two entries."""
    names = ["crisp", "topaz"]
    return draw_overlap(pd.DataFrame([[1.0, 0.8], [0.7, 1.0]], index=names, columns=names))


FIGURE = FigureEntry(
    name="overlap",
    title="Share of the picks of one entry that match another entry's",
    caption="Picks of the row's entry that match a pick of the column's entry, one to one within half a diameter.",
    source="results/<dataset>/comparisons/<comparison>/overlap.tsv",
    file="results/<dataset>/comparisons/<comparison>/overlap.png",
    draw=draw_overlap,
    example=example,
)
