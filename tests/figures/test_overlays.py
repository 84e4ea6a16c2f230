import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import EllipseCollection

from crisp_core.classes import CARBON, CONTAMINANT
from crisp_core.figures.overlays import draw_overlay


def scene():
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:120, :160]
    picks = pd.DataFrame({"x": [40.0, 100.0, 20.0], "y": [30.0, 80.0, 100.0], "matched": [True, True, False]})
    truth = pd.DataFrame({"x": [41.0, 100.0, 140.0], "y": [30.0, 81.0, 20.0], "matched": [True, True, False]})
    label = np.any([np.hypot(x - a, y - b) < 8 for a, b in truth[["x", "y"]].to_numpy()], axis=0).astype(np.uint8)
    image = rng.normal(size=label.shape) - 3.0 * label
    return image.astype(np.float32), label, 0.9 * label.astype(np.float32), picks, truth


def overlay(**changes):
    image, label, probability, picks, truth = scene()
    given = {"label": label, "picks": picks, "truth": truth, **changes}
    return draw_overlay(
        image, given["label"], probability, given["picks"], given["truth"], diameter_px=16, title="one", pixel_size=7.08
    )


def circles(figure):
    return [c for c in figure.axes[0].collections if isinstance(c, EllipseCollection)]


def legend_texts(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_circles_are_found_false_and_missed_ones_at_their_places_and_size():
    _, _, _, picks, truth = scene()
    found, false, missed = circles(overlay())
    np.testing.assert_array_equal(found.get_offsets(), picks[["x", "y"]][:2])
    np.testing.assert_array_equal(false.get_offsets(), picks[["x", "y"]][2:])
    np.testing.assert_array_equal(missed.get_offsets(), truth[["x", "y"]][2:])
    assert len({tuple(c.get_edgecolor()[0]) for c in (found, false, missed)}) == 3
    np.testing.assert_array_equal(found.get_widths(), [16, 16])
    assert legend_texts(overlay().axes[0]) == ["2 found", "1 not in the truth", "1 missed"]


def test_overlay_without_truth_has_one_kind_of_circle_and_no_label_outline():
    figure = overlay(label=None, truth=None)
    assert legend_texts(figure.axes[0]) == ["3 picks"] and len(circles(figure)) == 1
    assert legend_texts(figure.axes[1]) == ["predicted (probability 0.5)"]
    assert legend_texts(overlay().axes[1]) == ["label", "predicted (probability 0.5)"]


def test_row_zero_is_at_the_top():
    for axes in overlay().axes[:3]:
        bottom, top = axes.get_ylim()
        assert bottom > top


def test_scale_bar_is_as_long_as_it_says():
    axes = overlay().axes[0]
    (bar,) = axes.lines
    length_nm = float(next(t.get_text() for t in axes.texts if t.get_text().endswith(" nm")).removesuffix(" nm"))
    assert np.ptp(bar.get_xdata()) * 7.08 == pytest.approx(10 * length_nm)


def test_the_outline_of_the_label_is_that_of_particles_alone():
    _, label, _, _, _ = scene()
    others = label.copy()
    others[50:60, 100:130], others[:, 150:] = CONTAMINANT, CARBON
    # of two maps, the first is the label
    with_others, alone = (overlay(label=each).axes[1].collections[0].get_paths() for each in (others, label))
    assert [path.vertices.tolist() for path in with_others] == [path.vertices.tolist() for path in alone]


def test_a_name_with_dollars_is_a_title():
    image, label, probability, picks, truth = scene()
    figure = draw_overlay(image, label, probability, picks, truth, diameter_px=16, title="a$^$b", pixel_size=7.08)
    figure.canvas.draw()
    assert figure.get_suptitle() == "a$^$b"
