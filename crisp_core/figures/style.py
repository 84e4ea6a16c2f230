"""Colours, sizes and helpers of all figures. The colours suit colour-blind readers (Okabe & Ito)."""

from pathlib import Path
from typing import BinaryIO

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from scipy import ndimage

BLUE, SKY, GREEN, ORANGE, VERMILLION, PURPLE = "#0072B2", "#56B4E9", "#009E73", "#E69F00", "#D55E00", "#CC79A7"
YELLOW, BLACK, GREY = "#F0E442", "#000000", "#8C8C8C"
# Vermillion, lightened until it stands out from a mid-grey micrograph.
LIGHT_VERMILLION = "#FF7A2E"
LINES = (BLUE, ORANGE, GREEN, VERMILLION, PURPLE, SKY, BLACK)
DASHES = ("-", "--", "-.", ":")
DOTS_PER_INCH = 130
PANEL_INCHES = 5.2
# Standard deviation of the low-pass blur in particle diameters: it removes noise and keeps the outline of a particle.
LOWPASS_DIAMETERS = 1 / 14
SCALE_BAR_ANGSTROM = (100, 200, 500, 1000, 2000, 5000)


def new_figure(width: float, height: float) -> Figure:
    """Create an empty figure of a size in inches, outside of pyplot's global state."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Figure, path: str | Path | BinaryIO) -> None:
    """Write a figure as PNG without date or program version, so that equal figures give equal bytes."""
    figure.savefig(path, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})


def line_style(i: int) -> tuple[str, str]:
    """Return colour and dashes of the i-th line: neighbours differ in both, and the first 28 lines differ."""
    return LINES[i % len(LINES)], DASHES[i % len(DASHES)]


def clean_axes(axes: Axes) -> None:
    """Remove the top and right spines and draw a light grid behind the data."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#E6E6E6", linewidth=0.6)
    axes.set_axisbelow(True)


def label_wavelengths(axes: Axes) -> None:
    """Label an x axis of frequencies in 1/Å by the wavelengths in Å."""
    axes.xaxis.set_major_formatter(lambda frequency, _: f"1 / {1 / frequency:.3g}" if frequency > 0 else "0")
    axes.set_xlabel("frequency, 1 / Å")


def grey_limits(image: np.ndarray) -> tuple[float, float]:
    """Return the grey values of black and white, with the median in the middle, so that dark and light areas show."""
    values = image[np.isfinite(image)]
    low, middle, high = np.percentile(values, [0.5, 50, 99.5]) if values.size else (0, 0.5, 1)
    reach = max(middle - low, high - middle) or 1.0
    return middle - reach, middle + reach


def show_grey(axes: Axes, image: np.ndarray) -> None:
    """Show an image (h, w) in grey, with the limits of `grey_limits`."""
    low, high = grey_limits(image)
    axes.imshow(image, cmap="gray", vmin=low, vmax=high, interpolation="antialiased")
    axes.set(xticks=[], yticks=[])


def low_pass(image: np.ndarray, diameter_px: float) -> np.ndarray:
    """Blur an image (h, w) by a Gaussian whose width is a share of the particle diameter in px."""
    return ndimage.gaussian_filter(np.asarray(image, dtype=np.float32), diameter_px * LOWPASS_DIAMETERS)


def draw_scale_bar(axes: Axes, width: int, height: int, pixel_size: float) -> None:
    """Draw a scale bar into the lower left corner of an image.

    Parameters
    ----------
    axes : Axes
        Axes that show the image.
    width, height : int
        Size of the image in px.
    pixel_size : float
        Pixel size of the image in Å/px.
    """
    length = max((a for a in SCALE_BAR_ANGSTROM if a <= 0.25 * width * pixel_size), default=SCALE_BAR_ANGSTROM[0])
    x, y, bar = 0.04 * width, 0.955 * height, length / pixel_size
    box = (x - 0.02 * width, y - 0.065 * height)
    axes.add_patch(Rectangle(box, bar + 0.04 * width, 0.09 * height, facecolor="#000000B0", edgecolor="none", zorder=4))
    axes.plot([x, x + bar], [y, y], color="white", linewidth=3, solid_capstyle="butt", zorder=5)
    axes.text(x + bar / 2, y - 0.012 * height, f"{length / 10:g} nm", color="white", ha="center", va="bottom", zorder=5)
