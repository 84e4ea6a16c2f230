"""Description of a figure for the registry, the report page, the documentation and the tests."""

from collections.abc import Callable
from typing import NamedTuple

from matplotlib.figure import Figure

# Place of a figure that is drawn for the report page only and is not a file.
REPORT_PAGE = "report page"


class FigureEntry(NamedTuple):
    """One figure of the registry."""

    name: str  # key in the report page
    title: str  # content of the figure, as alternative text for readers who cannot see it
    caption: str  # how to read the figure
    source: str  # file with the data
    file: str  # file of the figure with <placeholders>, or REPORT_PAGE
    draw: Callable[..., Figure]
    example: Callable[[], Figure]  # draws the figure from a few invented values
