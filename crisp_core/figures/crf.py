"""Figure of the steps of a CRF."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from crisp_core.figures.entry import FigureEntry
from crisp_core.figures.style import draw_scale_bar, low_pass, new_figure, show_grey


def draw_crf(
    image: np.ndarray, panels: Mapping[str, np.ndarray], *, diameter_px: float, pixel_size: float, title: str
) -> Figure:
    """Draw the steps of a CRF from logits to probabilities, next to the micrograph.

    Parameters
    ----------
    image : (h, w) array
        Part of a micrograph.
    panels : mapping of name to (h, w) array
        Steps. Arrays with negative values get symmetric colour limits, all others are drawn as probabilities.
    diameter_px : float
        Particle diameter in px of the image.
    pixel_size : float
        Pixel size of the image in Å/px.
    title : str
        Title of the figure.
    """
    figure = new_figure(3.7 * (1 + len(panels)), 4.1)
    figure.suptitle(title, fontsize=11, parse_math=False)
    first, *others = figure.subplots(1, 1 + len(panels))
    show_grey(first, low_pass(image, diameter_px))
    draw_scale_bar(first, image.shape[1], image.shape[0], pixel_size)
    first.set_title("micrograph, low-passed")
    for axes, (name, values) in zip(others, panels.items(), strict=True):
        reach = float(np.percentile(np.abs(values), 99.5)) or 1.0
        colors, least, most = ("RdBu_r", -reach, reach) if values.min() < 0 else ("cividis", 0, 1)
        shown = axes.imshow(values, cmap=colors, vmin=least, vmax=most, interpolation="nearest")
        figure.colorbar(shown, ax=axes, fraction=0.046, pad=0.02)
        axes.set(title=name, xticks=[], yticks=[])
    return figure


def example() -> Figure:
    """Draw log odds and probability of one particle."""
    y, x = np.mgrid[:64, :64]
    odds = 4 - np.hypot(x - 32, y - 32) / 3
    image = np.random.default_rng(0).normal(size=odds.shape) - odds
    panels = {"log odds": odds, "probability": 1 / (1 + np.exp(-odds))}
    return draw_crf(image, panels, diameter_px=24, pixel_size=7.08, title="example")


FIGURE = FigureEntry(
    name="crf",
    title="Log odds, first message and probabilities of a CRF on part of a micrograph",
    caption="The area of a test micrograph in which the CRF changes the network's probabilities most.",
    source="results/<network>/crf.pt",
    file="results/<network>/plots/crf.png",
    draw=draw_crf,
    example=example,
)
