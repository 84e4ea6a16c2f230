"""Pixels of a figure, as a user would see them."""

import io

import matplotlib.image

from crisp_core.figures.style import save_figure


def drawn_pixels(figure):
    buffer = io.BytesIO()
    save_figure(figure, buffer)
    buffer.seek(0)
    pixels = matplotlib.image.imread(buffer)
    height, width = pixels.shape[:2]
    assert 40 < height < 2500 and 100 < width < 2500
    return pixels
