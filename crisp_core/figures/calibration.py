"""Figure of the calibration of scores."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from crisp_core.figures.entry import FigureEntry
from crisp_core.figures.style import BLUE, DASHES, VERMILLION, clean_axes, new_figure


def draw_calibration(table: pd.DataFrame) -> Figure:
    """Draw the observed precision of picks against their score, before and after calibration, one panel per part.

    Parameters
    ----------
    table : DataFrame
        Result of `pick_tables.calibration_table`. The area of a dot is proportional to the number of picks in its bin.
    """
    parts = list(dict.fromkeys(table["part"]))
    figure = new_figure(4.6 * len(parts), 4.6)
    for axes, part in zip(figure.subplots(1, len(parts), squeeze=False)[0], parts, strict=True):
        axes.plot([0, 1], [0, 1], color="#D5D5D5", linewidth=1, zorder=0)
        for (kind, rows), color, dashes in zip(
            table[table["part"] == part].groupby("kind", sort=False), (VERMILLION, BLUE), DASHES, strict=False
        ):
            filled = rows[rows["n_picks"] > 0]
            sizes = 300 * filled["n_picks"] / max(1, rows["n_picks"].sum())
            label = f"{kind}, error {rows['expected_calibration_error'].iloc[0]:.3f}"
            axes.plot(filled["mean_score"], filled["precision"], dashes, color=color, label=label)
            axes.scatter(filled["mean_score"], filled["precision"], s=sizes + 8, color=color)
        axes.set(xlim=(0, 1), ylim=(0, 1.02), title=part, xlabel="mean score of the bin", ylabel="share of true picks")
        axes.set_aspect("equal")
        clean_axes(axes)
        axes.legend(frameon=False, loc="upper left")
    return figure


def example() -> Figure:
    """Draw one filled and one empty bin of two parts."""
    bins = pd.DataFrame({"n_picks": [0, 7], "mean_score": [np.nan, 0.8], "precision": [np.nan, 0.9]})
    bins = bins.assign(expected_calibration_error=0.1)
    kinds = [(part, kind) for part in ("validation", "test") for kind in ("score", "calibrated")]
    return draw_calibration(pd.concat([bins.assign(part=part, kind=kind) for part, kind in kinds]))


FIGURE = FigureEntry(
    name="calibration",
    title="Share of true picks against their score, before and after calibration",
    caption="The calibration is fitted on the validation part. On the diagonal, a score equals the expected precision.",
    source="results/<dataset>/<experiment>/metrics/calibration.tsv",
    file="results/<dataset>/<experiment>/plots/calibration.png",
    draw=draw_calibration,
    example=example,
)
