"""Figure of Fourier shell correlation curves."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from crisp_core.figures.entry import FigureEntry
from crisp_core.figures.style import GREY, clean_axes, label_wavelengths, line_style, new_figure


def draw_resolution(fsc: pd.DataFrame, resolution: pd.DataFrame) -> Figure:
    """Draw the corrected Fourier shell correlation of each set: mean over the seeds ± one standard deviation.

    Parameters
    ----------
    fsc : DataFrame
        Columns set, seed, frequency (1/Å), corrected.
    resolution : DataFrame
        Result of `evaluation.fsc.resolution_table`.
    """
    figure = new_figure(8.2, 5)
    axes = figure.subplots()
    found = resolution.astype({"seed": str}).set_index(["set", "seed"])
    for i, (name, curves) in enumerate(fsc.groupby("set", sort=False)):
        by_frequency = curves.groupby("frequency")["corrected"]
        mean, sd = by_frequency.mean(), by_frequency.std().fillna(0)
        color, dashes = line_style(i)
        row, spread = found.loc[(name, "mean")], found.loc[(name, "sd"), "resolution_angstrom"]
        around = "" if np.isnan(spread) else f" ± {spread:.2f}"
        finest = "≤ " if row["at_nyquist"] > 0 else ""
        label = f"{name}, {row['n_particles']:.0f} particles: {finest}{row['resolution_angstrom']:.2f}{around} Å"
        axes.plot(mean.index, mean, dashes, color=color, label=label)
        axes.fill_between(mean.index, mean - sd, mean + sd, color=color, alpha=0.2, linewidth=0)
    axes.axhline(0.143, color=GREY, linewidth=0.8)
    axes.annotate("0.143", (0, 0.143), xytext=(3, 3), textcoords="offset points", color=GREY, fontsize=8)
    axes.set(xlim=(0, fsc["frequency"].max()), ylim=(-0.1, 1.02), ylabel="Fourier shell correlation, corrected")
    label_wavelengths(axes)
    clean_axes(axes)
    axes.legend(frameon=True, framealpha=0.9, edgecolor="none", loc="upper right")
    return figure


def example() -> Figure:
    """Draw the curve of one set with two seeds."""
    frequency = np.linspace(0, 0.1, 20)
    curves = [pd.DataFrame({"set": "picks", "seed": seed, "frequency": frequency}) for seed in (1, 2)]
    fsc = pd.concat([curve.assign(corrected=np.exp(-curve["seed"] * (frequency / 0.06) ** 4)) for curve in curves])
    table = pd.DataFrame(
        {"set": "picks", "seed": ["mean", "sd"], "n_particles": 900, "resolution_angstrom": [15.0, 1.0]}
    )
    return draw_resolution(fsc, table.assign(at_nyquist=0))


FIGURE = FigureEntry(
    name="fsc",
    title="Corrected Fourier shell correlation of half maps for each set of particles",
    caption="All sets have the same number of particles. Bands are one standard deviation over the seeds; the "
    "resolution is where a curve crosses 0.143.",
    source="results/<dataset>/<experiment>/resolution/fsc.tsv",
    file="results/<dataset>/<experiment>/resolution/fsc.png",
    draw=draw_resolution,
    example=example,
)
