import io
import struct

import matplotlib.image
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import EllipseCollection
from matplotlib.colors import to_rgb

from crisp_core.evaluation.maps import count_map, map_table
from crisp_core.figures import plots


def history(n=5, *, validation=True):
    epoch = np.arange(1, n + 1)
    return pd.DataFrame(
        {
            "epoch": epoch,
            "train_loss": 1.0 / epoch,
            "validation_loss": 1.2 / epoch if validation else np.nan,
            "validation_iou": [0.1, 0.5, 0.7, 0.9, 0.8][:n] if validation else np.nan,
            "learning_rate": 1e-3,
            "seconds": 3.0,
        }
    )


def scene():
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:120, :160]
    picks = pd.DataFrame({"x": [40.0, 100.0, 20.0], "y": [30.0, 80.0, 100.0], "matched": [True, True, False]})
    truth = pd.DataFrame({"x": [41.0, 100.0, 140.0], "y": [30.0, 81.0, 20.0], "matched": [True, True, False]})
    label = np.any([np.hypot(x - a, y - b) < 8 for a, b in truth[["x", "y"]].to_numpy()], axis=0).astype(np.uint8)
    image = rng.normal(size=label.shape) - 3.0 * label
    return image.astype(np.float32), label, 0.9 * label.astype(np.float32), picks, truth


def draw_overlay(**changes):
    image, label, probability, picks, truth = scene()
    given = {"label": label, "picks": picks, "truth": truth, **changes}
    return plots.overlay(
        image, given["label"], probability, given["picks"], given["truth"], diameter_px=16, title="one", pixel_size=7.08
    )


def circles(figure):
    return [c for c in figure.axes[0].collections if isinstance(c, EllipseCollection)]


def legend_texts(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def png_chunks(data):
    place, names = 8, []
    while place < len(data):
        (length,) = struct.unpack(">I", data[place : place + 4])
        names.append(data[place + 4 : place + 8].decode())
        place += length + 12
    return names


def searched():
    settings = [(name, e, s) for name in ("nms", "morphology") for e in (0.4, 0.5) for s in (0.4, 0.7)]
    return pd.DataFrame(settings, columns=["finder", "e", "s"]).assign(ap=[0.1, 0.2, 0.3, 0.9, 0.5, np.nan, 0.4, 0.2])


def calibration():
    table = pd.DataFrame({"low": [0.0, 0.5], "high": [0.5, 1.0], "n_picks": [0, 7]})
    table = table.assign(mean_score=[np.nan, 0.8], precision=[np.nan, 0.9], expected_calibration_error=0.1)
    return pd.concat([table.assign(part=part, kind=kind) for part in "ab" for kind in ("score", "calibrated")])


def compared(seeds):
    rows = [(name, seed) for name in "abc" for seed in [*seeds, "mean", "sd"]]
    table = pd.DataFrame(rows, columns=["experiment", "seed"]).assign(dataset="d")
    return table.assign(pixel_iou=0.5, pixel_f1=0.6, pick_f1=0.7, train_seconds=[*range(len(rows))])


def histograms(names):
    rng = np.random.default_rng(0)
    rows = map_table(("test", name, count_map(rng.random((9, 9)), np.eye(9), np.ones((9, 9), bool))) for name in names)
    return rows[rows["micrograph"] != "all"].assign(name=names)


FIGURES = {
    "training": lambda: plots.training_curves(history()),
    "training without validation": lambda: plots.training_curves(history(validation=False)),
    "one epoch": lambda: plots.training_curves(history(1)),
    "overlay": draw_overlay,
    "overlay of picks alone": lambda: draw_overlay(label=None, truth=None),
    "overlay without picks": lambda: draw_overlay(picks=scene()[3].iloc[:0], truth=scene()[4].assign(matched=False)),
    "precision and recall": lambda: plots.precision_recall(
        {"test": pd.DataFrame({"recall": [0.1, 0.9], "precision": [1.0, 0.7]})}, chosen={"test": (0.9, 0.7)}
    ),
    "calibration": lambda: plots.calibration_curves(calibration()),
    "search": lambda: plots.search_heat_maps(searched(), "ap", chosen=("nms", 0.5, 0.7)),
    "search of one setting": lambda: plots.search_heat_maps(searched().iloc[[0]], "ap", chosen=("nms", 0.4, 0.4)),
    "table": lambda: plots.compared_experiments(compared([1, 2])),
    "table of one seed": lambda: plots.compared_experiments(compared([1]).replace({"pixel_iou": np.nan})),
    "histograms": lambda: plots.probability_histograms(histograms(["plain", "plain", "logits"])),
    "no curves": lambda: plots.precision_recall({}),
    "montage": lambda: plots.particle_montage(np.random.default_rng(0).normal(size=(13, 20, 24))),
    "montage of none": lambda: plots.particle_montage(np.empty((0, 20, 20))),
}


def test_heat_map_frames_the_chosen_setting_and_writes_every_value():
    panels = FIGURES["search"]().axes[:2]
    assert [axes.get_title() for axes in panels] == ["nms", "morphology"]
    (frame,), others = (axes.patches for axes in panels)
    assert frame.get_xy() == (0.5, 0.5) and not others
    assert [text.get_text() for text in panels[1].texts] == ["0.500", "nan", "0.400", "0.200"]


@pytest.mark.parametrize("name", ["overlay", "training", "precision and recall"])
def test_equal_figures_give_equal_bytes_without_date_or_version(tmp_path, name):
    for file in ("a.png", "b.png"):
        plots.save(FIGURES[name](), tmp_path / file)
    data = (tmp_path / "a.png").read_bytes()
    assert data == (tmp_path / "b.png").read_bytes()
    assert not {"tEXt", "iTXt", "zTXt", "tIME"} & set(png_chunks(data))


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.filterwarnings("error")
def test_every_figure_is_drawn_without_a_warning_and_is_not_empty(name):
    buffer = io.BytesIO()
    plots.save(FIGURES[name](), buffer)
    buffer.seek(0)
    pixels = matplotlib.image.imread(buffer)
    height, width = pixels.shape[:2]
    assert 40 < height < 2500 and 100 < width < 2500
    if name != "montage of none":
        assert pixels[..., :3].std() > 0.02


def test_circles_are_found_false_and_missed_ones_at_their_places_and_size():
    _, _, _, picks, truth = scene()
    found, false, missed = circles(draw_overlay())
    np.testing.assert_array_equal(found.get_offsets(), picks[["x", "y"]][:2])
    np.testing.assert_array_equal(false.get_offsets(), picks[["x", "y"]][2:])
    np.testing.assert_array_equal(missed.get_offsets(), truth[["x", "y"]][2:])
    assert len({tuple(c.get_edgecolor()[0]) for c in (found, false, missed)}) == 3
    np.testing.assert_array_equal(found.get_widths(), [16, 16])
    assert legend_texts(draw_overlay().axes[0]) == ["2 found", "1 not in the truth", "1 missed"]


def test_overlay_without_truth_has_one_kind_of_circle_and_no_label_outline():
    figure = draw_overlay(label=None, truth=None)
    assert legend_texts(figure.axes[0]) == ["3 picks"] and len(circles(figure)) == 1
    assert legend_texts(figure.axes[1]) == ["predicted (probability 0.5)"]
    assert legend_texts(draw_overlay().axes[1]) == ["label", "predicted (probability 0.5)"]


def test_row_zero_is_at_the_top():
    for axes in draw_overlay().axes[:3]:
        bottom, top = axes.get_ylim()
        assert bottom > top


def test_scale_bar_is_as_long_as_it_says():
    axes = draw_overlay().axes[0]
    (bar,) = axes.lines
    length_nm = float(next(t.get_text() for t in axes.texts if t.get_text().endswith(" nm")).removesuffix(" nm"))
    assert np.ptp(bar.get_xdata()) * 7.08 == pytest.approx(10 * length_nm)


def test_best_epoch_is_marked():
    iou = plots.training_curves(history()).axes[1]
    assert [text.get_text() for text in iou.texts] == ["best 0.900, epoch 4"]
    assert any(
        line.get_xdata()[0] == 4 and line.get_markersize() == 8 for line in iou.lines if len(line.get_xdata()) == 1
    )


def test_lines_of_equal_f1_are_that():
    axes = plots.precision_recall({}).axes[0]
    values = []
    for line in axes.lines:
        recall, precision = line.get_data()
        f1 = 2 * recall * precision / (recall + precision)
        assert np.ptp(f1) < 1e-9
        values.append(round(float(f1[0]), 6))
    assert values == [0.2, 0.4, 0.6, 0.8, 0.9]


def luminance(color):
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


def test_circles_stand_out_from_mid_grey():
    # Contrast ratio as the web's accessibility guidelines define it (WCAG 2); mid-grey is the median of a micrograph.
    grey = luminance("#808080")
    for color in (plots.SKY, plots.LIGHT_VERMILLION, plots.YELLOW):
        assert (luminance(color) + 0.05) / (grey + 0.05) > 1.5


def test_many_lines_are_told_apart():
    curve = pd.DataFrame({"recall": [0.1, 0.9], "precision": [0.9, 0.5]})
    figure = plots.precision_recall({f"picker {i}": curve for i in range(12)})
    lines = [line for line in figure.axes[0].lines if line.get_label().startswith("picker")]
    assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == 12
    # beside the curves, which reach into every corner
    figure.canvas.draw()
    assert figure.axes[0].get_legend().get_window_extent().x0 > figure.axes[0].get_window_extent().x1
