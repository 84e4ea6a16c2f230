"""Figure of precision against recall."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from crisp_core.figures.entry import FigureEntry
from crisp_core.figures.style import GREY, line_style, new_figure

# With more curves, the legend is placed outside of the axes.
LEGEND_INSIDE = 6


def draw_precision_recall(
    curves: Mapping[str, pd.DataFrame], *, chosen: Mapping[str, tuple[float, float]] | None = None
) -> Figure:
    """Draw precision against recall over lines of equal F1.

    Parameters
    ----------
    curves : mapping of name to DataFrame
        Columns recall, precision; one row per threshold, in order of recall.
    chosen : mapping of name to (recall, precision), optional
        Point of the threshold in use, drawn as a dot.
    """
    figure = new_figure(6.4, 5.6)
    axes = figure.subplots()
    _draw_equal_f1_lines(axes)
    for i, (name, curve) in enumerate(curves.items()):
        color, dashes = line_style(i)
        axes.plot(curve["recall"], curve["precision"], dashes, color=color, linewidth=1.8, label=name)
        if chosen and name in chosen:
            axes.plot(*chosen[name], "o", color=color, markersize=8, markeredgecolor="white", zorder=3)
    axes.set(xlim=(0, 1.005), ylim=(0, 1.005), xlabel="recall", ylabel="precision", aspect="equal")
    axes.set_title("Precision and recall of the picks")
    axes.spines[["top", "right"]].set_visible(False)
    if len(curves) > LEGEND_INSIDE:
        figure.set_figwidth(8.4)
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.1, 0.5))
    elif curves:
        axes.legend(frameon=True, framealpha=0.9, edgecolor="none", loc="lower left")
    return figure


def _draw_equal_f1_lines(axes: Axes) -> None:
    for value in (0.2, 0.4, 0.6, 0.8, 0.9):
        recall = np.linspace(value / (2 - value), 1, 200)
        axes.plot(recall, value * recall / (2 * recall - value), color="#D5D5D5", linewidth=0.8, zorder=0)
        axes.annotate(
            f"F1 {value}",
            (1, value / (2 - value)),
            xytext=(4, 0),
            textcoords="offset points",
            color=GREY,
            fontsize=8,
            va="center",
        )


def example() -> Figure:
    """Draw a curve of two points for each of two parts."""
    curves = {
        part: pd.DataFrame({"recall": [0.1, 0.9], "precision": [1.0, low]}) for part, low in EXAMPLE_PRECISION.items()
    }
    return draw_precision_recall(curves, chosen={part: (0.9, low) for part, low in EXAMPLE_PRECISION.items()})


EXAMPLE_PRECISION = {"validation": 0.8, "test": 0.7}
FIGURE = FigureEntry(
    name="precision_recall",
    title="Precision against recall for each part of the split",
    caption="The dot marks the score threshold in use.",
    source="results/<dataset>/<experiment>/metrics/precision_recall.tsv",
    file="results/<dataset>/<experiment>/plots/precision_recall.png",
    draw=draw_precision_recall,
    example=example,
)
COMPARISON_FIGURE = FIGURE._replace(
    name="pr",
    title="Precision against recall for each entry of a comparison",
    source="results/<dataset>/comparisons/<comparison>/precision_recall.tsv",
    file="results/<dataset>/comparisons/<comparison>/pr.png",
)
