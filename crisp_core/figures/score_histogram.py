"""Figure of the scores of candidates."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from crisp_core.figures.entry import REPORT_PAGE, FigureEntry
from crisp_core.figures.style import BLACK, BLUE, LIGHT_VERMILLION, clean_axes, new_figure


def draw_score_histogram(scores: Mapping[str, np.ndarray], *, threshold: float) -> Figure:
    """Draw a stacked histogram of the scores of candidates, by group (true, not in the truth).

    Parameters
    ----------
    scores : mapping of name to (n,) array
        Scores of one or two groups, usually between 0 and 1.
    threshold : float
        Minimum score of a pick, drawn as a line.
    """
    figure = new_figure(6.4, 3.6)
    axes = figure.subplots()
    colors = (BLUE, LIGHT_VERMILLION)[: len(scores)]
    hatches = (None, "////")
    joined = np.concatenate([[0.0, 1.0], *scores.values()])
    bins = np.linspace(np.floor(joined.min()), np.ceil(joined.max()), 51)
    groups: Any = axes.hist(list(scores.values()), bins=bins.tolist(), stacked=True, color=colors)[2]
    # matplotlib returns the bars of one group directly, and a list of them for several groups.
    for bars, hatch in zip(groups if len(scores) > 1 else [groups], hatches, strict=False):
        for bar in bars:
            bar.set(hatch=hatch, edgecolor="white", linewidth=0.3)
    axes.axvline(threshold, color=BLACK, linestyle="--", linewidth=1.3)
    handles = [Rectangle((0, 0), 1, 1, facecolor=c, hatch=h) for c, h in zip(colors, hatches, strict=False)]
    names = [f"{name} ({len(values)})" for name, values in scores.items()]
    line = Line2D([], [], color=BLACK, linestyle="--", label="threshold")
    names.append(f"threshold {threshold:.3g}")
    axes.legend([*handles, line], names, framealpha=0.9, edgecolor="none", loc="upper left")
    axes.set(xlim=bins[[0, -1]], xlabel="score", ylabel="candidates", title="Scores of the candidates")
    if any(map(len, scores.values())):
        axes.set_yscale("log")
    clean_axes(axes)
    return figure


def example() -> Figure:
    """Draw 300 true and 200 other candidates."""
    rng = np.random.default_rng(0)
    return draw_score_histogram({"true": rng.beta(6, 2, 300), "not in the truth": rng.beta(2, 6, 200)}, threshold=0.5)


FIGURE = FigureEntry(
    name="scores",
    title="Histogram of the scores of the candidates",
    caption="All centres of the finder at any score, grouped into true and other candidates if coordinates are known.",
    source="results/<dataset>/<experiment>/candidates/<batch>.star",
    file=REPORT_PAGE,
    draw=draw_score_histogram,
    example=example,
)
