import struct

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from crisp_core.figures.registry import BY_NAME
from crisp_core.figures.style import LIGHT_VERMILLION, SKY, YELLOW, save_figure


def png_chunks(data):
    place, names = 8, []
    while place < len(data):
        (length,) = struct.unpack(">I", data[place : place + 4])
        names.append(data[place + 4 : place + 8].decode())
        place += length + 12
    return names


def luminance(color):
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


@pytest.mark.parametrize("name", ["overlays", "training", "precision_recall"])
def test_equal_figures_give_equal_bytes_without_date_or_version(tmp_path, name):
    for file in ("a.png", "b.png"):
        save_figure(BY_NAME[name].example(), tmp_path / file)
    data = (tmp_path / "a.png").read_bytes()
    assert data == (tmp_path / "b.png").read_bytes()
    assert not {"tEXt", "iTXt", "zTXt", "tIME"} & set(png_chunks(data))


def test_circles_stand_out_from_mid_grey():
    # Contrast ratio as the web's accessibility guidelines define it (WCAG 2); mid-grey is the median of a micrograph.
    grey = luminance("#808080")
    for color in (SKY, LIGHT_VERMILLION, YELLOW):
        assert (luminance(color) + 0.05) / (grey + 0.05) > 1.5
