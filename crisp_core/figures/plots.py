"""Figures of the report, as reproducible files, in colours that colour-blind readers can tell apart (Okabe & Ito)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import EllipseCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from scipy import ndimage

BLUE, SKY, GREEN, ORANGE, VERMILLION, PURPLE = "#0072B2", "#56B4E9", "#009E73", "#E69F00", "#D55E00", "#CC79A7"
YELLOW, BLACK, GREY = "#F0E442", "#000000", "#8C8C8C"
# Vermillion as light as it must be to stand out from a mid-grey micrograph.
LIGHT_VERMILLION = "#FF7A2E"
LINES = (BLUE, ORANGE, GREEN, VERMILLION, PURPLE, SKY, BLACK)
DASHES = ("-", "--", "-.", ":")
# More curves than this hide under their legend.
LEGEND_INSIDE = 6
DOTS_PER_INCH = 130
PANEL_INCHES = 5.2
# A blur of this share of the diameter takes the noise and leaves the particle's outline.
LOWPASS_DIAMETERS = 1 / 14
# Side of the part whose outlines are shown: particles are then large enough to judge them.
ZOOM_DIAMETERS = 14
COMPARED = {
    "pixel_iou": ("pixel IoU", BLUE),
    "pixel_f1": ("pixel F1", BLUE),
    "pick_f1": ("F1 of the picks", VERMILLION),
    "train_seconds": ("training, s", GREY),
}
CRITERION_NAMES = {"ap": "average precision", "f1": "F1", "map_paper": "mAP as published"}
SCALE_BAR_ANGSTROM = (100, 200, 500, 1000, 2000, 5000)


def save(figure: Figure, path: str | Path | BinaryIO) -> None:
    """Write a figure as PNG, without date or program version: equal figures give equal bytes."""
    figure.savefig(path, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})


def line_style(i: int) -> tuple[str, str]:
    """Colour and dashes of the i-th line: neighbours differ in both, and no two of 28 are alike."""
    return LINES[i % len(LINES)], DASHES[i % len(DASHES)]


def training_curves(history: pd.DataFrame) -> Figure:
    """Loss, IoU and learning rate by epoch.

    Parameters
    ----------
    history : DataFrame
        Columns epoch, train_loss, validation_loss, validation_iou, learning_rate, seconds. Columns of the validation
        are NaN where there was none.
    """
    figure = _figure(12, 3.8)
    loss, iou, rate = figure.subplots(1, 3, width_ratios=(3, 3, 2))
    _line(loss, history, "train_loss", BLUE, "-", "training")
    _line(loss, history, "validation_loss", ORANGE, "--", "validation")
    _line(iou, history, "validation_iou", ORANGE, "--", "validation")
    _line(rate, history, "learning_rate", GREY, "-", "learning rate")
    titles = {loss: "Loss", iou: "IoU of the particle class", rate: "Learning rate"}
    for axes, title in titles.items():
        axes.set(title=title, xlabel="epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        _plain(axes)
    rate.set_ylim(bottom=0)
    rate.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3))
    if history["validation_iou"].notna().any():
        _mark_best(iou, history)
        iou.set_ylim(0, 1)
    else:
        iou.text(0.5, 0.5, "no validation part", transform=iou.transAxes, ha="center", color=GREY)
    loss.legend(frameon=False)
    return figure


def _line(axes: Axes, history: pd.DataFrame, column: str, color: str, dashes: str, label: str) -> None:
    if history[column].notna().any():
        axes.plot(history["epoch"], history[column], dashes, color=color, marker="o", markersize=3.5, label=label)


def _mark_best(axes: Axes, history: pd.DataFrame) -> None:
    best = history.loc[history["validation_iou"].idxmax()]
    axes.plot(best["epoch"], best["validation_iou"], "o", color=VERMILLION, markersize=8)
    text = f"best {best['validation_iou']:.3f}, epoch {best['epoch']:.0f}"
    axes.text(0.97, 0.05, text, transform=axes.transAxes, ha="right", color=VERMILLION)


def precision_recall(
    curves: Mapping[str, pd.DataFrame], *, chosen: Mapping[str, tuple[float, float]] | None = None
) -> Figure:
    """Precision against recall over lines of equal F1.

    Parameters
    ----------
    curves : mapping of name to DataFrame
        Columns recall, precision; one row per threshold, in order of recall.
    chosen : mapping of name to (recall, precision), optional
        The point at the threshold in use, drawn as a dot.
    """
    figure = _figure(6.4, 5.6)
    axes = figure.subplots()
    _equal_f1_lines(axes)
    for i, (name, curve) in enumerate(curves.items()):
        color, dashes = line_style(i)
        axes.plot(curve["recall"], curve["precision"], dashes, color=color, linewidth=1.8, label=name)
        if chosen and name in chosen:
            axes.plot(*chosen[name], "o", color=color, markersize=8, markeredgecolor="white", zorder=3)
    axes.set(xlim=(0, 1.005), ylim=(0, 1.005), xlabel="recall", ylabel="precision", aspect="equal")
    axes.set_title("Precision and recall of the picks")
    axes.spines[["top", "right"]].set_visible(False)
    if len(curves) > LEGEND_INSIDE:
        figure.set_figwidth(8.4)
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.1, 0.5))
    elif curves:
        axes.legend(frameon=True, framealpha=0.9, edgecolor="none", loc="lower left")
    return figure


def overlap_matrix(shares: pd.DataFrame) -> Figure:
    """Matrix of shares between 0 and 1, each written into its square; rows and columns are named by the table."""
    side = 2.2 + 0.62 * len(shares)
    figure = _figure(side + 1.6, side)
    axes = figure.subplots()
    shown = axes.imshow(shares, cmap="cividis", vmin=0, vmax=1)
    for (i, j), value in np.ndenumerate(shares.to_numpy(float)):
        text = "–" if np.isnan(value) else f"{value:.2f}"
        axes.text(j, i, text, ha="center", va="center", fontsize=8, color="white" if value < 0.55 else "black")
    axes.set_xticks(range(len(shares.columns)), shares.columns, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(shares)), shares.index)
    axes.set(title="Share of the row's picks that the column has too")
    figure.colorbar(shown, ax=axes, fraction=0.046, pad=0.03)
    return figure


def _equal_f1_lines(axes: Axes) -> None:
    for value in (0.2, 0.4, 0.6, 0.8, 0.9):
        recall = np.linspace(value / (2 - value), 1, 200)
        axes.plot(recall, value * recall / (2 * recall - value), color="#D5D5D5", linewidth=0.8, zorder=0)
        axes.annotate(
            f"F1 {value}",
            (1, value / (2 - value)),
            xytext=(4, 0),
            textcoords="offset points",
            color=GREY,
            fontsize=8,
            va="center",
        )


def calibration_curves(table: pd.DataFrame) -> Figure:
    """Observed precision of the picks against their score, before and after calibration, one panel per part.

    Parameters
    ----------
    table : DataFrame
        Of `metrics.picks.calibration_table`. The area of a dot is the number of picks in its bin.
    """
    parts = list(dict.fromkeys(table["part"]))
    figure = _figure(4.6 * len(parts), 4.6)
    for axes, part in zip(figure.subplots(1, len(parts), squeeze=False)[0], parts, strict=True):
        axes.plot([0, 1], [0, 1], color="#D5D5D5", linewidth=1, zorder=0)
        for (kind, rows), color, dashes in zip(
            table[table["part"] == part].groupby("kind", sort=False), (VERMILLION, BLUE), DASHES, strict=False
        ):
            filled = rows[rows["n_picks"] > 0]
            sizes = 300 * filled["n_picks"] / max(1, rows["n_picks"].sum())
            label = f"{kind}, error {rows['expected_calibration_error'].iloc[0]:.3f}"
            axes.plot(filled["mean_score"], filled["precision"], dashes, color=color, label=label)
            axes.scatter(filled["mean_score"], filled["precision"], s=sizes + 8, color=color)
        axes.set(xlim=(0, 1), ylim=(0, 1.02), title=part, xlabel="mean score of the bin", ylabel="share of true picks")
        axes.set_aspect("equal")
        _plain(axes)
        axes.legend(frameon=False, loc="upper left")
    return figure


def search_heat_maps(rows: pd.DataFrame, criterion: str, *, chosen: tuple[str, float, float]) -> Figure:
    """One heat map per finder: the criterion by e and s, the chosen setting framed, missing values hatched.

    Parameters
    ----------
    rows : DataFrame
        Of `centers.search.search_table`.
    criterion : str
        Column to show.
    chosen : (finder, e, s)
    """
    finders = list(dict.fromkeys(rows["finder"]))
    low, high = rows[criterion].min(), rows[criterion].max()
    figure = _figure(3.9 * len(finders) + 0.8, 3.7)
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


def compared_experiments(table: pd.DataFrame) -> Figure:
    """Measures of a table's experiments: a dot per seed, and a line at the mean ± standard deviation.

    Parameters
    ----------
    table : DataFrame
        Of `tables.with_mean_and_sd`.
    """
    table = table.assign(name=table["dataset"] + "/" + table["experiment"])
    if table["dataset"].nunique() == 1:
        table["name"] = table["experiment"]
    names = list(dict.fromkeys(table["name"]))
    place = {name: -i for i, name in enumerate(names)}
    kinds = table["seed"].where(table["seed"].isin(["mean", "sd"]), "seed")
    seeds, mean, sd = (table[kinds == kind] for kind in ("seed", "mean", "sd"))
    figure = _figure(3.1 * len(COMPARED), 1.4 + 0.34 * len(names))
    panels = figure.subplots(1, len(COMPARED), sharey=True)
    for axes, (column, (title, color)) in zip(panels, COMPARED.items(), strict=True):
        axes.plot(seeds[column], seeds["name"].map(place), "o", color=color, alpha=0.45, markersize=5)
        axes.errorbar(
            mean[column], mean["name"].map(place), xerr=sd[column].fillna(0), fmt="|", color=color, markersize=15
        )
        axes.set(title=title)
        axes.set_yticks(list(place.values()), names)
        _plain(axes)
    return figure


def probability_histograms(histograms: pd.DataFrame) -> Figure:
    """Shares of the pixels by probability, one line per experiment, on a logarithmic scale.

    Parameters
    ----------
    histograms : DataFrame
        Column name and those of `metrics.maps.map_table`; a row per experiment and seed, of which the mean is drawn.
    """
    means = histograms.groupby("name", sort=False).mean(numeric_only=True)
    bins = [column for column in means if column.startswith("p_")]
    starts = np.array([float(column.removeprefix("p_")) for column in bins])
    edges = np.append(starts, 1.0)
    figure = _figure(9, 4.2)
    axes = figure.subplots()
    for i, (name, row) in enumerate(means.iterrows()):
        color, dashes = line_style(i)
        label = f"{name} ({row['n_regions']:.0f} regions)"
        axes.stairs(row[bins], edges, color=color, linestyle=dashes, label=label)
    axes.set(xlabel="probability of particle", ylabel="share of the pixels", yscale="log")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    _plain(axes)
    return figure


def overlay(
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
    """One micrograph in three panels: picks, outlines in its middle (the square in the first panel), probability.

    Parameters
    ----------
    image, label, probability : (h, w) arrays
        Working resolution; the label (0, 1) may be None.
    picks, truth : DataFrame
        Columns x, y in the image's pixels, and `matched` (bool) where truth is given; truth may be None. A pick without
        partner is drawn dashed, a true particle without partner in yellow.
    diameter_px : float
        Particle diameter in the image's pixels.
    title : str
    pixel_size : float
        Å/px, for the scale bar.
    """
    height, width = image.shape
    figure = _figure(3 * PANEL_INCHES + 0.9, PANEL_INCHES * height / width + 1.15)
    figure.suptitle(title, fontsize=12)
    panels = figure.subplots(1, 3)
    smooth = ndimage.gaussian_filter(np.asarray(image, dtype=np.float32), diameter_px * LOWPASS_DIAMETERS)
    for axes in panels[:2]:
        _grey(axes, smooth)
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
    _scale_bar(panels[0], width, height, pixel_size)
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
    """Draw the outlines and zoom on the middle; return the shown x, y, width and height."""
    entries = [(probability, SKY, "--", "predicted (probability 0.5)")]
    if label is not None:
        entries.insert(0, (label, YELLOW, "-", "label"))
    for mask, color, dashes, _ in entries:
        # A contour of a map that never crosses the level is a warning in matplotlib.
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
    """Legend below the panel, on dark ground as the image is, so that light colours can be read."""
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


def crf_panels(
    image: np.ndarray, panels: Mapping[str, np.ndarray], *, diameter_px: float, pixel_size: float, title: str
) -> Figure:
    """Show how a CRF goes from logits to probabilities: the image, then log odds and probabilities side by side.

    Parameters
    ----------
    image : (h, w) array
    panels : mapping of name to (h, w) array
        What has negative values is drawn around 0, with its own reach; anything else as a probability.
    diameter_px, pixel_size : float
        Particle diameter in the image's pixels; Å/px.
    title : str
    """
    figure = _figure(3.7 * (1 + len(panels)), 4.1)
    figure.suptitle(title, fontsize=11)
    first, *others = figure.subplots(1, 1 + len(panels))
    _grey(first, ndimage.gaussian_filter(np.asarray(image, dtype=np.float32), diameter_px * LOWPASS_DIAMETERS))
    _scale_bar(first, image.shape[1], image.shape[0], pixel_size)
    first.set_title("micrograph, low-passed")
    for axes, (name, values) in zip(others, panels.items(), strict=True):
        reach = float(np.percentile(np.abs(values), 99.5)) or 1.0
        colors, least, most = ("RdBu_r", -reach, reach) if values.min() < 0 else ("cividis", 0, 1)
        shown = axes.imshow(values, cmap=colors, vmin=least, vmax=most, interpolation="nearest")
        figure.colorbar(shown, ax=axes, fraction=0.046, pad=0.02)
        axes.set(title=name, xticks=[], yticks=[])
    return figure


def particle_montage(stack: np.ndarray, *, columns: int = 10) -> Figure:
    """Particle images (n, h, w) in rows, one contrast for all."""
    n, height, width = stack.shape
    n_columns = max(1, min(columns, n))
    n_rows = max(1, -(-n // n_columns))
    gap = 2
    sheet = np.full((n_rows * (height + gap) - gap, n_columns * (width + gap) - gap), np.nan, dtype=np.float32)
    for i, particle in enumerate(stack):
        y, x = (i // n_columns) * (height + gap), (i % n_columns) * (width + gap)
        sheet[y : y + height, x : x + width] = particle
    figure = _figure(n_columns, n_rows * height / width + 0.1)
    axes = figure.subplots()
    _grey(axes, sheet)
    axes.set_axis_off()
    return figure


def score_histogram(scores: Mapping[str, np.ndarray], *, threshold: float) -> Figure:
    """How many candidates have which score, the groups (true, not in the truth) on top of each other.

    Parameters
    ----------
    scores : mapping of name to (n,) array
        Scores of one or two groups, usually from 0 to 1.
    threshold : float
        Least score of a pick; drawn as a line.
    """
    figure = _figure(6.4, 3.6)
    axes = figure.subplots()
    colors = (BLUE, LIGHT_VERMILLION)[: len(scores)]
    hatches = (None, "////")
    joined = np.concatenate([[0.0, 1.0], *scores.values()])
    bins = np.linspace(np.floor(joined.min()), np.ceil(joined.max()), 51)
    groups: Any = axes.hist(list(scores.values()), bins=bins.tolist(), stacked=True, color=colors)[2]
    # One group comes back as its bars, two as a list of such.
    for bars, hatch in zip(groups if len(scores) > 1 else [groups], hatches, strict=False):
        for bar in bars:
            bar.set(hatch=hatch, edgecolor="white", linewidth=0.3)
    axes.axvline(threshold, color=BLACK, linestyle="--", linewidth=1.3)
    handles = [Rectangle((0, 0), 1, 1, facecolor=c, hatch=h) for c, h in zip(colors, hatches, strict=False)]
    names = [f"{name} ({len(values)})" for name, values in scores.items()]
    line = Line2D([], [], color=BLACK, linestyle="--", label="threshold")
    names.append(f"threshold {threshold:.3g}")
    axes.legend([*handles, line], names, framealpha=0.9, edgecolor="none", loc="upper left")
    axes.set(xlim=bins[[0, -1]], xlabel="score", ylabel="candidates", title="Scores of the candidates")
    if any(map(len, scores.values())):
        axes.set_yscale("log")
    _plain(axes)
    return figure


def picks_per_micrograph(counts: pd.DataFrame, *, most_names: int = 8) -> Figure:
    """Number of picks of every micrograph and its distribution; outliers are named.

    Parameters
    ----------
    counts : DataFrame
        Columns micrograph, n_picks, deviation, outlier; a row per micrograph, in their order.
    most_names : int
        So many outliers are named, the farthest ones.
    """
    figure = _figure(6.4, 3.6)
    axes, side = figure.subplots(1, 2, sharey=True, width_ratios=(4, 1))
    plain, outliers = counts[~counts["outlier"]], counts[counts["outlier"]]
    axes.axhline(counts["n_picks"].median(), color=GREY, linewidth=1, linestyle="--")
    axes.plot(plain.index, plain["n_picks"], "o", color=BLUE, markersize=5, label="micrograph")
    axes.plot(outliers.index, outliers["n_picks"], "D", color=VERMILLION, markersize=7, label="outlier")
    farthest = outliers.sort_values("deviation", key=np.abs, ascending=False)
    for i, row in farthest[:most_names].iterrows():
        left = i < len(counts) / 2
        place = {"xytext": (8 if left else -8, 0), "textcoords": "offset points", "ha": "left" if left else "right"}
        axes.annotate(row["micrograph"], (i, row["n_picks"]), fontsize=7.5, va="center", parse_math=False, **place)
    side.hist(counts["n_picks"], bins=min(30, max(5, len(counts) // 2)), orientation="horizontal", color=SKY)
    top = 1.08 * max(1, counts["n_picks"].max()) if len(counts) else 1
    axes.set(xlabel="micrograph", ylabel="picks", ylim=(0, top), title="Picks per micrograph")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    side.set(xlabel="micrographs")
    side.xaxis.set_major_locator(MaxNLocator(nbins=3, integer=True))
    for panel in (axes, side):
        _plain(panel)
    return figure


def resolution_curves(fsc: pd.DataFrame, resolution: pd.DataFrame) -> Figure:
    """Corrected Fourier shell correlation of each set: the mean over its seeds, in a band of a standard deviation.

    Parameters
    ----------
    fsc : DataFrame
        set, seed, frequency (1/Å), corrected.
    resolution : DataFrame
        Of `metrics.fsc.resolution_table`.
    """
    figure = _figure(8.2, 5)
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
    _angstrom_ticks(axes)
    _plain(axes)
    axes.legend(frameon=True, framealpha=0.9, edgecolor="none", loc="upper right")
    return figure


def noise_spectra(spectra: pd.DataFrame) -> Figure:
    """Radial power spectrum of the noise: each micrograph thin, the pooled one thick, on a logarithmic scale.

    Parameters
    ----------
    spectra : DataFrame
        Of `noise.with_pooled`.
    """
    figure = _figure(8.2, 4.6)
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
        _angstrom_ticks(axes)
    else:
        axes.text(0.5, 0.5, "no room for a patch on any micrograph", transform=axes.transAxes, ha="center", color=GREY)
    _plain(axes)
    return figure


def _angstrom_ticks(axes: Axes) -> None:
    """Label an axis of frequencies (1/Å) by their wavelengths."""
    axes.xaxis.set_major_formatter(lambda frequency, _: f"1 / {1 / frequency:.3g}" if frequency > 0 else "0")
    axes.set_xlabel("frequency, 1 / Å")


def _figure(width: float, height: float) -> Figure:
    """Figure of a size in inches, outside pyplot's global state."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def grey_limits(image: np.ndarray) -> tuple[float, float]:
    """Values to show as black and white: the median lies in the middle, so that dark and light both stand out."""
    values = image[np.isfinite(image)]
    low, middle, high = np.percentile(values, [0.5, 50, 99.5]) if values.size else (0, 0.5, 1)
    reach = max(middle - low, high - middle) or 1.0
    return middle - reach, middle + reach


def _grey(axes: Axes, image: np.ndarray) -> None:
    low, high = grey_limits(image)
    axes.imshow(image, cmap="gray", vmin=low, vmax=high, interpolation="antialiased")
    axes.set(xticks=[], yticks=[])


def _scale_bar(axes: Axes, width: int, height: int, pixel_size: float) -> None:
    length = max((a for a in SCALE_BAR_ANGSTROM if a <= 0.25 * width * pixel_size), default=SCALE_BAR_ANGSTROM[0])
    x, y, bar = 0.04 * width, 0.955 * height, length / pixel_size
    box = (x - 0.02 * width, y - 0.065 * height)
    axes.add_patch(Rectangle(box, bar + 0.04 * width, 0.09 * height, facecolor="#000000B0", edgecolor="none", zorder=4))
    axes.plot([x, x + bar], [y, y], color="white", linewidth=3, solid_capstyle="butt", zorder=5)
    axes.text(x + bar / 2, y - 0.012 * height, f"{length / 10:g} nm", color="white", ha="center", va="bottom", zorder=5)


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#E6E6E6", linewidth=0.6)
    axes.set_axisbelow(True)
