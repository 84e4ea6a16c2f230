"""Figure of the sizes of the picks."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from crisp_core.figures.entry import FigureEntry
from crisp_core.figures.style import BLACK, BLUE, ORANGE, SKY, clean_axes, new_figure
from crisp_core.picking.sizes import AT_EDGE, DIAMETER, LONG_AXIS, SHORT_AXIS, SOLIDITY, suggest_sizes, whole_picks

LARGEST_RATIO = 4.0


def draw_sizes(picks: pd.DataFrame, *, suggested: pd.DataFrame) -> Figure:
    """Draw histograms of the diameters, the long axes and the axis ratios of the picks.

    Parameters
    ----------
    picks : DataFrame
        Columns micrograph and those of `sizes.SHAPE_COLUMNS`, in Å.
    suggested : DataFrame
        Result of `sizes.suggest_sizes` of these picks.
    """
    figure = new_figure(8.4, 3.4)
    axes, side = figure.subplots(1, 2, width_ratios=(5, 3))
    whole, row = whole_picks(picks), suggested.iloc[0]
    values = np.append(whole[[DIAMETER, LONG_AXIS]].to_numpy(float).ravel(), row["given_angstrom"])
    bins = np.linspace(0, 1.05 * float(values.max()), 61).tolist()
    axes.hist(whole[DIAMETER], bins=bins, color=SKY, label="diameter of equal area")
    axes.hist(whole[LONG_AXIS], bins=bins, color=BLUE, histtype="step", linewidth=1.5, label="long axis")
    axes.axvline(row["given_angstrom"], color=BLACK, linestyle="--", label=f"config: {row['given_angstrom']:.4g} Å")
    if np.isfinite(row["diameter_angstrom"]):
        axes.axvspan(row["low_angstrom"], row["high_angstrom"], color=ORANGE, alpha=0.4)
        axes.axvline(row["diameter_angstrom"], color=ORANGE, label=f"estimate: {row['diameter_angstrom']:.4g} Å")
    axes.legend(framealpha=0.9, edgecolor="none", fontsize=8)
    axes.set(xlabel="Å", ylabel="picks", title=f"Sizes of {len(whole)} picks", xlim=(0, bins[-1]))
    ratio = (whole[LONG_AXIS] / whole[SHORT_AXIS]).clip(upper=LARGEST_RATIO)
    side.hist(ratio, bins=np.linspace(1, LARGEST_RATIO, 31).tolist(), color=SKY)
    side.set(xlabel="long axis / short axis", title="Axis ratio")
    for panel in (axes, side):
        clean_axes(panel)
    return figure


def example() -> Figure:
    """Draw 300 picks of a particle of 180 Å."""
    rng = np.random.default_rng(0)
    long_axis, ratio = rng.normal(170, 12, 300), rng.uniform(1, 1.6, 300)
    axes = {
        LONG_AXIS: long_axis,
        SHORT_AXIS: long_axis / ratio,
        DIAMETER: long_axis / np.sqrt(ratio),
        SOLIDITY: 0.95,
        AT_EDGE: 0,
    }
    picks = pd.DataFrame({"micrograph": np.repeat(["a", "b", "c"], 100), **axes})
    return draw_sizes(picks, suggested=suggest_sizes(picks, pixel_size=1.77, given_angstrom=180))


FIGURE = FigureEntry(
    name="sizes",
    title="Histograms of the sizes of the picks and of their axis ratios",
    caption="Sizes of the outlines on the probability maps; outlines that the edge cuts are left out. Dashed: diameter "
    "of the config. Orange: estimated longest extent, with its 95 % interval.",
    source="results/<dataset>/<experiment>/picks/<batch>.star",
    file="results/<dataset>/<experiment>/plots/sizes.png",
    draw=draw_sizes,
    example=example,
)
