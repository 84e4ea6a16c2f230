"""Figure of the search for the settings of a finder."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from crisp_core.figures.entry import FigureEntry
from crisp_core.figures.style import GREY, VERMILLION, new_figure

CRITERION_NAMES = {"ap": "average precision", "f1": "F1", "map_paper": "mAP as published"}


def draw_search(rows: pd.DataFrame, criterion: str, *, chosen: tuple[str, float, float]) -> Figure:
    """Draw one heat map per finder: the criterion by e and s, the chosen setting framed, missing values hatched.

    Parameters
    ----------
    rows : DataFrame
        Result of `picking.search.search_table`.
    criterion : str
        Column to show.
    chosen : (finder, e, s)
        Setting in use.
    """
    finders = list(dict.fromkeys(rows["finder"]))
    low, high = rows[criterion].min(), rows[criterion].max()
    figure = new_figure(3.9 * len(finders) + 0.8, 3.7)
    panels = figure.subplots(1, len(finders), squeeze=False)[0]
    for axes, finder in zip(panels, finders, strict=True):
        grid = rows[rows["finder"] == finder].pivot(index="e", columns="s", values=criterion)
        image = axes.imshow(grid, cmap="cividis", vmin=low, vmax=high, origin="lower", aspect="auto")
        axes.patch.set(hatch="//", edgecolor=GREY)
        for (i, j), value in np.ndenumerate(grid.to_numpy(float)):
            color = "white" if not value > (low + high) / 2 else "black"
            axes.text(j, i, f"{value:.3f}", ha="center", va="center", color=color)
        if finder == chosen[0]:
            i, j = grid.index.get_loc(chosen[1]), grid.columns.get_loc(chosen[2])
            axes.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, fill=False, edgecolor=VERMILLION, linewidth=3))
        axes.set_xticks(range(grid.shape[1]), [f"{s:g}" for s in grid.columns])
        axes.set_yticks(range(grid.shape[0]), [f"{e:g}" for e in grid.index])
        axes.set(title=finder, xlabel="s (filtering)", ylabel="e (candidates)")
    figure.colorbar(image, ax=list(panels), label=CRITERION_NAMES.get(criterion, criterion))
    return figure


def example() -> Figure:
    """Draw a search over two finders."""
    settings = [(name, e, s) for name in ("nms", "morphology") for e in (0.4, 0.5) for s in (0.4, 0.7)]
    rows = pd.DataFrame(settings, columns=["finder", "e", "s"])
    return draw_search(rows.assign(ap=[0.1, 0.2, 0.3, 0.9, 0.5, np.nan, 0.4, 0.2]), "ap", chosen=("nms", 0.5, 0.7))


FIGURE = FigureEntry(
    name="search",
    title="Heat maps of the search over finders and their settings",
    caption="Criterion for every setting of every finder on the validation part; the setting in use is framed.",
    source="results/<dataset>/<experiment>/search.tsv",
    file="results/<dataset>/<experiment>/plots/search.png",
    draw=draw_search,
    example=example,
)
