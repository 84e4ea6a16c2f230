"""Figure of the experiments of a table."""

import pandas as pd
from matplotlib.figure import Figure

from crisp_core.figures.entry import FigureEntry
from crisp_core.figures.style import BLUE, GREY, VERMILLION, clean_axes, new_figure

COMPARED = {
    "pixel_iou": ("pixel IoU", BLUE),
    "pixel_f1": ("pixel F1", BLUE),
    "pick_f1": ("F1 of the picks", VERMILLION),
    "train_seconds": ("training, s", GREY),
}


def draw_experiments(table: pd.DataFrame) -> Figure:
    """Draw the measures of experiments: a dot per seed, and a line at the mean ± standard deviation.

    Parameters
    ----------
    table : DataFrame
        Result of `evaluation.tables.add_mean_and_sd`.
    """
    table = table.assign(name=table["dataset"] + "/" + table["experiment"])
    if table["dataset"].nunique() == 1:
        table["name"] = table["experiment"]
    names = list(dict.fromkeys(table["name"]))
    place = {name: -i for i, name in enumerate(names)}
    kinds = table["seed"].where(table["seed"].isin(["mean", "sd"]), "seed")
    seeds, mean, sd = (table[kinds == kind] for kind in ("seed", "mean", "sd"))
    figure = new_figure(3.1 * len(COMPARED), 1.4 + 0.34 * len(names))
    panels = figure.subplots(1, len(COMPARED), sharey=True)
    for axes, (column, (title, color)) in zip(panels, COMPARED.items(), strict=True):
        axes.plot(seeds[column], seeds["name"].map(place), "o", color=color, alpha=0.45, markersize=5)
        axes.errorbar(
            mean[column], mean["name"].map(place), xerr=sd[column].fillna(0), fmt="|", color=color, markersize=15
        )
        axes.set(title=title)
        axes.set_yticks(list(place.values()), names)
        clean_axes(axes)
    return figure


def example() -> Figure:
    """Draw three experiments with two seeds each."""
    rows = [(name, seed) for name in ("plain", "augmented", "crf") for seed in (1, 2, "mean", "sd")]
    table = pd.DataFrame(rows, columns=["experiment", "seed"]).assign(dataset="simulated")
    values = {"pixel_iou": 0.5, "pixel_f1": 0.6, "pick_f1": 0.7, "train_seconds": range(len(rows))}
    return draw_experiments(table.assign(**values))


FIGURE = FigureEntry(
    name="table",
    title="Measures of several experiments",
    caption="Measures on the test part: a dot per seed, and a line at the mean ± standard deviation over the seeds.",
    source="results/<dataset>/tables/<table>.tsv",
    file="results/<dataset>/tables/<table>.png",
    draw=draw_experiments,
    example=example,
)
