"""Figure of a training: loss, IoU and learning rate by epoch."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from crisp_core.figures.entry import FigureEntry
from crisp_core.figures.style import BLUE, GREY, ORANGE, VERMILLION, clean_axes, new_figure


def draw_training(history: pd.DataFrame) -> Figure:
    """Draw loss, IoU and learning rate by epoch.

    Parameters
    ----------
    history : DataFrame
        Columns epoch, train_loss, validation_loss, validation_iou, learning_rate. Validation columns are NaN without
        a validation part.
    """
    figure = new_figure(12, 3.8)
    loss, iou, rate = figure.subplots(1, 3, width_ratios=(3, 3, 2))
    _draw_line(loss, history, "train_loss", BLUE, "-", "training")
    _draw_line(loss, history, "validation_loss", ORANGE, "--", "validation")
    _draw_line(iou, history, "validation_iou", ORANGE, "--", "validation")
    _draw_line(rate, history, "learning_rate", GREY, "-", "learning rate")
    titles = {loss: "Loss", iou: "IoU of the particle class", rate: "Learning rate"}
    for axes, title in titles.items():
        axes.set(title=title, xlabel="epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        clean_axes(axes)
    rate.set_ylim(bottom=0)
    rate.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3))
    if history["validation_iou"].notna().any():
        _mark_best(iou, history)
        iou.set_ylim(0, 1)
    else:
        iou.text(0.5, 0.5, "no validation part", transform=iou.transAxes, ha="center", color=GREY)
    loss.legend(frameon=False)
    return figure


def _draw_line(axes: Axes, history: pd.DataFrame, column: str, color: str, dashes: str, label: str) -> None:
    if history[column].notna().any():
        axes.plot(history["epoch"], history[column], dashes, color=color, marker="o", markersize=3.5, label=label)


def _mark_best(axes: Axes, history: pd.DataFrame) -> None:
    best = history.loc[history["validation_iou"].idxmax()]
    axes.plot(best["epoch"], best["validation_iou"], "o", color=VERMILLION, markersize=8)
    text = f"best {best['validation_iou']:.3f}, epoch {best['epoch']:.0f}"
    axes.text(0.97, 0.05, text, transform=axes.transAxes, ha="right", color=VERMILLION)


def example() -> Figure:
    """Draw a training of five epochs."""
    epoch = np.arange(1, 6)
    iou = [0.1, 0.5, 0.7, 0.9, 0.8]
    losses = {"train_loss": 1.0 / epoch, "validation_loss": 1.2 / epoch}
    return draw_training(pd.DataFrame({"epoch": epoch, **losses, "validation_iou": iou, "learning_rate": 1e-3}))


FIGURE = FigureEntry(
    name="training",
    title="Loss, IoU and learning rate by epoch",
    caption="The network of the epoch with the best validation IoU is used.",
    source="results/<network>/history.tsv",
    file="results/<network>/plots/training.png",
    draw=draw_training,
    example=example,
)
CRF_FIGURE = FIGURE._replace(
    name="training_crf",
    title="Loss, IoU and learning rate of the fine-tuning with the CRF, by epoch",
    caption="Fine-tuning with the CRF, or without it as a control.",
    source="results/<network>/history_crf.tsv",
    file="results/<network>/plots/training_crf.png",
)
