"""Figure of the predicted probabilities of several experiments."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from crisp_core.figures.entry import FigureEntry
from crisp_core.figures.style import clean_axes, line_style, new_figure


def draw_histograms(histograms: pd.DataFrame) -> Figure:
    """Draw the share of pixels by probability, one line per experiment, on a logarithmic scale.

    Parameters
    ----------
    histograms : DataFrame
        Column name and the columns of `evaluation.maps.map_table`, one row per experiment and seed. The mean over seeds
        is drawn.
    """
    means = histograms.groupby("name", sort=False).mean(numeric_only=True)
    bins = [column for column in means if column.startswith("p_")]
    starts = np.array([float(column.removeprefix("p_")) for column in bins])
    edges = np.append(starts, 1.0)
    figure = new_figure(9, 4.2)
    axes = figure.subplots()
    for i, (name, row) in enumerate(means.iterrows()):
        color, dashes = line_style(i)
        label = f"{name} ({row['n_regions']:.0f} regions)"
        axes.stairs(row[bins], edges, color=color, linestyle=dashes, label=label)
    axes.set(xlabel="probability of particle", ylabel="share of the pixels", yscale="log")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    clean_axes(axes)
    return figure


def example() -> Figure:
    """Draw the histograms of two experiments, one of them with two seeds."""
    falling = {f"p_{i / 20:.2f}": 2.0**-i for i in range(20)}
    rising = {f"p_{i / 20:.2f}": 2.0 ** (i - 20) for i in range(20)}
    rows = [
        {"name": name, "n_regions": 40, **shares} for name, shares in (("a", falling), ("a", rising), ("b", rising))
    ]
    return draw_histograms(pd.DataFrame(rows))


FIGURE = FigureEntry(
    name="histograms",
    title="Histograms of the predicted probability for several experiments",
    caption="Pixels of the test part, mean over the seeds, with the number of isolated regions at probability 0.5.",
    source="results/<dataset>/<experiment>/metrics/maps.tsv",
    file="results/<dataset>/tables/<table>/histograms.png",
    draw=draw_histograms,
    example=example,
)
