import numpy as np
import pandas as pd

from crisp_core.figures.precision_recall import draw_precision_recall


def test_lines_of_equal_f1_are_that():
    axes = draw_precision_recall({}).axes[0]
    values = []
    for line in axes.lines:
        recall, precision = line.get_data()
        f1 = 2 * recall * precision / (recall + precision)
        assert np.ptp(f1) < 1e-9
        values.append(round(float(f1[0]), 6))
    assert values == [0.2, 0.4, 0.6, 0.8, 0.9]


def test_many_lines_are_told_apart():
    curve = pd.DataFrame({"recall": [0.1, 0.9], "precision": [0.9, 0.5]})
    figure = draw_precision_recall({f"picker {i}": curve for i in range(12)})
    lines = [line for line in figure.axes[0].lines if line.get_label().startswith("picker")]
    assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == 12
    # beside the curves, which reach into every corner
    figure.canvas.draw()
    assert figure.axes[0].get_legend().get_window_extent().x0 > figure.axes[0].get_window_extent().x1
