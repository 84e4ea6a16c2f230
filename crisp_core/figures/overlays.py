"""Figure of one micrograph with picks, outlines and predicted probability."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import EllipseCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from crisp_core.classes import PARTICLE
from crisp_core.figures.entry import FigureEntry
from crisp_core.figures.style import (
    LIGHT_VERMILLION,
    PANEL_INCHES,
    SKY,
    YELLOW,
    draw_scale_bar,
    low_pass,
    new_figure,
    show_grey,
)

# Side of the enlarged area with outlines, in particle diameters.
ZOOM_DIAMETERS = 14


def draw_overlay(
    image: np.ndarray,
    label: np.ndarray | None,
    probability: np.ndarray,
    picks: pd.DataFrame,
    truth: pd.DataFrame | None,
    *,
    diameter_px: float,
    title: str,
    pixel_size: float,
) -> Figure:
    """Draw one micrograph in three panels: picks, outlines in the middle (square in the first panel), probability.

    Parameters
    ----------
    image, label, probability : (h, w) arrays
        Micrograph, label (0 or 1, or None) and predicted probability at working resolution.
    picks, truth : DataFrame
        Picks and true particles (or None): columns x, y in px of the image and, with true particles, `matched` (bool).
        Unmatched picks are drawn dashed, unmatched true particles in yellow.
    diameter_px : float
        Particle diameter in px of the image.
    title : str
        Title of the figure.
    pixel_size : float
        Pixel size of the image in Å/px, for the scale bar.
    """
    height, width = image.shape
    figure = new_figure(3 * PANEL_INCHES + 0.9, PANEL_INCHES * height / width + 1.15)
    # a name may have two $
    figure.suptitle(title, fontsize=12, parse_math=False)
    panels = figure.subplots(1, 3)
    smooth = low_pass(image, diameter_px)
    for axes in panels[:2]:
        show_grey(axes, smooth)
    _draw_picks(panels[0], picks, truth, diameter_px)
    zoomed = _draw_outlines(panels[1], label, probability, ZOOM_DIAMETERS * diameter_px)
    panels[0].add_patch(Rectangle(zoomed[:2], *zoomed[2:], facecolor="none", edgecolor="white", linewidth=1, zorder=4))
    shown = panels[2].imshow(probability, cmap="cividis", vmin=0, vmax=1, interpolation="nearest")
    panels[2].set_title("Probability of particle")
    figure.colorbar(shown, ax=panels[2], fraction=0.046, pad=0.02)
    for axes in panels:
        axes.set(xticks=[], yticks=[])
    for axes in panels[::2]:
        axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
    draw_scale_bar(panels[0], width, height, pixel_size)
    return figure


def _draw_picks(axes: Axes, picks: pd.DataFrame, truth: pd.DataFrame | None, diameter_px: float) -> None:
    if truth is None:
        groups = [(picks, SKY, "-", "picks")]
    else:
        matched = picks["matched"].to_numpy(dtype=bool)
        missed = ~truth["matched"].to_numpy(dtype=bool)
        groups = [
            (picks[matched], SKY, "-", "found"),
            (picks[~matched], LIGHT_VERMILLION, "--", "not in the truth"),
            (truth[missed], YELLOW, "-", "missed"),
        ]
    for table, color, dashes, _ in groups:
        axes.add_collection(_circles(axes, table, diameter_px, color, dashes))
    axes.set_title("Picks on the low-passed micrograph")
    _legend(axes, [(color, dashes, f"{len(table)} {name}") for table, color, dashes, name in groups])


def _circles(axes: Axes, table: pd.DataFrame, diameter_px: float, color: str, dashes: str) -> EllipseCollection:
    sides = np.full(len(table), diameter_px)
    return EllipseCollection(
        sides,
        sides,
        np.zeros(len(table)),
        units="xy",
        offsets=table[["x", "y"]].to_numpy(dtype=float).reshape(-1, 2),
        transOffset=axes.transData,
        facecolors="none",
        edgecolors=color,
        linestyles=dashes,
        linewidths=1.5,
    )


def _draw_outlines(
    axes: Axes, label: np.ndarray | None, probability: np.ndarray, side_px: float
) -> tuple[float, float, float, float]:
    """Draw outlines and enlarge the middle; return x, y, width and height of the shown area in px."""
    entries = [(probability, SKY, "--", "predicted (probability 0.5)")]
    if label is not None:
        entries.insert(0, ((label == PARTICLE).astype(float), YELLOW, "-", "label"))
    for mask, color, dashes, _ in entries:
        # matplotlib warns if no value crosses the level of a contour.
        if np.min(mask) < 0.5 < np.max(mask):
            axes.contour(mask, levels=[0.5], colors=color, linestyles=dashes, linewidths=1.5)
    axes.set_title("Outlines, middle of the micrograph")
    _legend(axes, [entry[1:] for entry in entries])
    height, width = probability.shape
    zoom = min(1.0, side_px / min(height, width))
    x, y = (width * (1 - zoom) - 1) / 2, (height * (1 - zoom) - 1) / 2
    axes.set(xlim=(x, x + zoom * width), ylim=(y + zoom * height, y))
    return x, y, zoom * width, zoom * height


def _legend(axes: Axes, entries: Sequence[tuple[str, Any, str]]) -> None:
    """Add a legend below the axes, on a dark background on which light colours are readable."""
    lines = [Line2D([], [], color=color, linestyle=dashes, linewidth=2, label=text) for color, dashes, text in entries]
    axes.legend(
        handles=lines,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.01),
        ncols=len(lines),
        facecolor="#555555",
        edgecolor="none",
        labelcolor="white",
        framealpha=1,
        handlelength=1.8,
        columnspacing=1.2,
    )


def example() -> Figure:
    """Draw a small micrograph with found, false and missed particles."""
    picks = pd.DataFrame({"x": [40.0, 100.0, 20.0], "y": [30.0, 80.0, 100.0], "matched": [True, True, False]})
    truth = pd.DataFrame({"x": [41.0, 100.0, 140.0], "y": [30.0, 81.0, 20.0], "matched": [True, True, False]})
    y, x = np.mgrid[:120, :160]
    label = np.any([np.hypot(x - a, y - b) < 8 for a, b in truth[["x", "y"]].to_numpy()], axis=0).astype(np.float32)
    image = np.random.default_rng(0).normal(size=label.shape) - 3 * label
    return draw_overlay(image, label, 0.9 * label, picks, truth, diameter_px=16, title="example", pixel_size=7.08)


FIGURE = FigureEntry(
    name="overlays",
    title="Picks, outlines and predicted probability on a micrograph",
    caption="Unmatched picks are dashed, missed particles yellow; the second panel enlarges the square of the first.",
    source="results/<dataset>/<experiment>/picks/<batch>.star",
    file="results/<dataset>/<experiment>/plots/overlays",
    draw=draw_overlay,
    example=example,
)
