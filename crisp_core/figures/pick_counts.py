"""Figure of the number of picks of every micrograph."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from crisp_core.figures.entry import REPORT_PAGE, FigureEntry
from crisp_core.figures.style import BLUE, GREY, SKY, VERMILLION, clean_axes, new_figure


def draw_pick_counts(counts: pd.DataFrame, *, most_names: int = 8) -> Figure:
    """Draw the number of picks of every micrograph and its histogram; outliers are named.

    Parameters
    ----------
    counts : DataFrame
        Columns micrograph, n_picks, deviation, outlier; one row per micrograph, in the order of the x axis.
    most_names : int
        Maximum number of outliers with a name; the outliers with the largest deviation are named.
    """
    figure = new_figure(6.4, 3.6)
    axes, side = figure.subplots(1, 2, sharey=True, width_ratios=(4, 1))
    plain, outliers = counts[~counts["outlier"]], counts[counts["outlier"]]
    axes.axhline(counts["n_picks"].median(), color=GREY, linewidth=1, linestyle="--")
    axes.plot(plain.index, plain["n_picks"], "o", color=BLUE, markersize=5, label="micrograph")
    axes.plot(outliers.index, outliers["n_picks"], "D", color=VERMILLION, markersize=7, label="outlier")
    farthest = outliers.sort_values("deviation", key=np.abs, ascending=False)
    for i, row in farthest[:most_names].iterrows():
        left = i < len(counts) / 2
        place = {"xytext": (8 if left else -8, 0), "textcoords": "offset points", "ha": "left" if left else "right"}
        axes.annotate(row["micrograph"], (i, row["n_picks"]), fontsize=7.5, va="center", parse_math=False, **place)
    side.hist(counts["n_picks"], bins=min(30, max(5, len(counts) // 2)), orientation="horizontal", color=SKY)
    top = 1.08 * max(1, counts["n_picks"].max()) if len(counts) else 1
    axes.set(xlabel="micrograph", ylabel="picks", ylim=(0, top), title="Picks per micrograph")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    side.set(xlabel="micrographs")
    side.xaxis.set_major_locator(MaxNLocator(nbins=3, integer=True))
    for panel in (axes, side):
        clean_axes(panel)
    return figure


def example() -> Figure:
    """Draw six micrographs, one of them an outlier."""
    n_picks = np.array([40, 44, 39, 120, 41, 42])
    table = pd.DataFrame({"micrograph": [f"micrograph_{i}" for i in range(6)], "n_picks": n_picks})
    return draw_pick_counts(table.assign(deviation=(n_picks - 41) / 6.4, outlier=n_picks > 100))


FIGURE = FigureEntry(
    name="picks_per_micrograph",
    title="Number of picks of every micrograph, and its histogram",
    caption="Outliers deviate from the median by more than three robust standard deviations (from the median absolute "
    "deviation, at least the counting noise).",
    source="results/<dataset>/<experiment>/candidates/<batch>.star",
    file=REPORT_PAGE,
    draw=draw_pick_counts,
    example=example,
)
