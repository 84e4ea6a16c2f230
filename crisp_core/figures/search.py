"""Figure of the search for the settings of a finder."""

import re
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from crisp_core.figures.entry import FigureEntry
from crisp_core.figures.style import GREY, VERMILLION, new_figure

CRITERION_NAMES = {"ap": "average precision", "f1": "F1", "map_paper": "mAP as published"}


def draw_search(rows: pd.DataFrame, criterion: str, *, chosen: Mapping[str, str | float]) -> Figure:
    """Draw one heat map per finder: the criterion by parameter, the chosen setting framed, missing values hatched.

    Parameters
    ----------
    rows : DataFrame
        Result of `picking.search.search_table`.
    criterion : str
        Column to show.
    chosen : mapping
        Setting in use: `finder`, and its parameters by name.
    """
    finders = list(dict.fromkeys(rows["finder"]))
    low, high = rows[criterion].min(), rows[criterion].max()
    figure = new_figure(3.9 * len(finders) + 0.8, 3.7)
    panels = figure.subplots(1, len(finders), squeeze=False)[0]
    for axes, finder in zip(panels, finders, strict=True):
        grid, framed = _search_grid(rows[rows["finder"] == finder], criterion, chosen)
        image = axes.imshow(grid, cmap="cividis", vmin=low, vmax=high, origin="lower", aspect="auto")
        axes.patch.set(hatch="//", edgecolor=GREY)
        for (i, j), value in np.ndenumerate(grid.to_numpy(float)):
            color = "white" if not value > (low + high) / 2 else "black"
            axes.text(j, i, f"{value:.3f}", ha="center", va="center", color=color)
        for i, j in framed:
            axes.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, fill=False, edgecolor=VERMILLION, linewidth=3))
        axes.set_xticks(range(grid.shape[1]), grid.columns)
        axes.set_yticks(range(grid.shape[0]), grid.index)
        axes.set(title=finder, xlabel=_with_unit(grid.columns.name), ylabel=_with_unit(grid.index.name))
    figure.colorbar(image, ax=list(panels), label=CRITERION_NAMES.get(criterion, criterion))
    return figure


def _search_grid(
    rows: pd.DataFrame, criterion: str, chosen: Mapping[str, str | float]
) -> tuple[pd.DataFrame, list[tuple[int, int]]]:
    """Criterion of one finder by its first parameter (rows) and its others (columns), and the cells of the choice."""
    varied = [name for name in rows.columns[1 : rows.columns.get_loc("ap")] if rows[name].notna().any()]
    rows = rows.sort_values(varied, kind="stable") if varied else rows
    of_row, of_column = (_parameter_labels(rows, names) for names in (varied[:1], varied[1:]))
    grid = pd.DataFrame(
        index=pd.Index(dict.fromkeys(of_row), name=", ".join(varied[:1])),
        columns=pd.Index(dict.fromkeys(of_column), name=", ".join(varied[1:])),
        dtype=float,
    )
    framed = []
    places = zip(grid.index.get_indexer(of_row), grid.columns.get_indexer(of_column), strict=True)
    for (i, j), (_, row) in zip(places, rows.iterrows(), strict=True):
        grid.iloc[i, j] = row[criterion]
        # the table has six digits
        if row["finder"] == chosen["finder"] and all(np.isclose(row[name], chosen[name], 1e-4) for name in varied):
            framed.append((int(i), int(j)))
    return grid, framed


def _parameter_labels(rows: pd.DataFrame, names: Sequence[str]) -> list[str]:
    return [", ".join(f"{value:.3g}" for value in values) for values in rows[list(names)].to_numpy(float)]


def _with_unit(names: str) -> str:
    """Label of an axis from the names of its parameters: ``sigma_diameters`` becomes ``sigma (diameters)``."""
    words = (re.sub("_(squared_diameters|diameters|px)$", r" (\1)", name) for name in names.split(", "))
    return ", ".join(words).replace("_", " ")


def example() -> Figure:
    """Draw a search over two finders."""
    values = [(value, distance) for value in (0.4, 0.5) for distance in (0.4, 0.7)]
    nms = pd.DataFrame(values, columns=["cell_diameters", "min_distance_diameters"]).assign(finder="nms")
    other = pd.DataFrame(values, columns=["erosion_diameters", "min_area_squared_diameters"]).assign(
        finder="morphology"
    )
    rows = pd.concat([nms, other], ignore_index=True)
    rows = rows[["finder", *rows.columns.drop("finder")]].assign(ap=[0.1, 0.2, 0.3, 0.9, 0.5, np.nan, 0.4, 0.2])
    return draw_search(rows, "ap", chosen={"finder": "nms", "cell_diameters": 0.5, "min_distance_diameters": 0.7})


FIGURE = FigureEntry(
    name="search",
    title="Heat maps of the search over finders and their settings",
    caption="Criterion for every setting of every finder on the validation part; the setting in use is framed.",
    source="results/<dataset>/<experiment>/search.tsv",
    file="results/<dataset>/<experiment>/plots/search.png",
    draw=draw_search,
    example=example,
)
