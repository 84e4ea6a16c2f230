"""Figure of the power spectra of noise."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from crisp_core.figures.entry import FigureEntry
from crisp_core.figures.style import GREY, VERMILLION, clean_axes, label_wavelengths, new_figure


def draw_noise(spectra: pd.DataFrame) -> Figure:
    """Draw radial power spectra of noise, on a logarithmic scale: micrographs thin, pooled spectrum thick.

    Parameters
    ----------
    spectra : DataFrame
        Result of `particles.noise.add_pooled_spectrum`.
    """
    figure = new_figure(8.2, 4.6)
    axes = figure.subplots()
    for name, rows in spectra.groupby("micrograph", sort=False):
        pooled = name == "all"
        style: dict[str, Any] = (
            {"color": VERMILLION, "linewidth": 2, "zorder": 3} if pooled else {"color": GREY, "linewidth": 0.6}
        )
        axes.plot(rows["frequency"], rows["power"], **style, label="all patches" if pooled else None)
    axes.set(ylabel="power, variance of white noise of that strength", title="Noise where the map calls background")
    if len(spectra):
        axes.set(yscale="log", xlim=(0, spectra["frequency"].max()))
        axes.legend(frameon=False)
        label_wavelengths(axes)
    else:
        axes.text(0.5, 0.5, "no room for a patch on any micrograph", transform=axes.transAxes, ha="center", color=GREY)
    clean_axes(axes)
    return figure


def example() -> Figure:
    """Draw the spectra of two micrographs and their mean."""
    frequency = np.linspace(0.001, 0.1, 30)
    tables = [
        pd.DataFrame({"micrograph": name, "frequency": frequency, "power": factor / (1 + 40 * frequency)})
        for name, factor in (("a", 0.9), ("b", 1.1), ("all", 1.0))
    ]
    return draw_noise(pd.concat(tables))


FIGURE = FigureEntry(
    name="spectra",
    title="Radial power spectra of noise patches",
    caption="Patches from predicted background: thin lines are micrographs, the thick line is the mean of all patches.",
    source="results/<dataset>/<experiment>/noise/spectra.tsv",
    file="results/<dataset>/<experiment>/noise/spectra.png",
    draw=draw_noise,
    example=example,
)
