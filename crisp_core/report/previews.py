"""Pictures inside the page, as data URIs, so small that the page stays below 15 MB."""

import base64
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image
from scipy import ndimage

from crisp_core.figures.style import LOWPASS_DIAMETERS, grey_limits, save_figure
from crisp_core.geometry import Shape

# Up to this many previews are this large; more are smaller, so that all together have as many pixels.
FULL_PREVIEWS = 20
PREVIEW_PX = 1400
# Micrographs in all viewers of the page together, and on a contact sheet.
MAX_VIEWED = 60
MAX_SHEET = 200
THUMBNAIL_PX = 200
# Bytes per pixel that a picture may take; its quality is lowered until it does.
IMAGE_BYTES, MAP_BYTES, THUMBNAIL_BYTES = 0.12, 0.04, 0.2
QUALITIES = (80, 70, 60, 50, 40, 30, 20, 10, 5)


def preview_side(n_previews: int) -> int:
    """Longest side of a preview in pixels, when the page holds `n_previews` of them."""
    return int(PREVIEW_PX * min(1.0, math.sqrt(FULL_PREVIEWS / max(1, min(n_previews, MAX_VIEWED)))))


def share_of_page(n: int, n_page: int, most: int) -> int:
    """How many of a run's `n` micrographs are shown, so that the `n_page` of all runs become at most `most`."""
    return n if n_page <= most else max(1, n * most // n_page)


def preview_shape(shape: Shape, side_px: int) -> Shape:
    """Shape (height, width) of the preview of an image: its longest side at most `side_px`, never enlarged."""
    factor = min(1.0, side_px / max(shape))
    height, width = (max(1, round(n * factor)) for n in shape)
    return height, width


def grey_preview(image: np.ndarray, shape: Shape, *, diameter_px: float) -> np.ndarray:
    """Low-passed micrograph as uint8 of `shape`; `diameter_px` is the particle's in the image's pixels."""
    smooth = ndimage.gaussian_filter(np.nan_to_num(np.asarray(image, np.float32)), diameter_px * LOWPASS_DIAMETERS)
    low, high = grey_limits(smooth)
    return _resize(np.clip(255 * (smooth - low) / (high - low), 0, 255), shape)


def map_preview(probability: np.ndarray, shape: Shape) -> np.ndarray:
    """Probability (0 to 1) as uint8 of `shape`."""
    return _resize(255 * np.clip(np.nan_to_num(np.asarray(probability, np.float32)), 0, 1), shape)


def outline_preview(label: np.ndarray, shape: Shape) -> np.ndarray:
    """Rim of the label's regions, bool of `shape`, two pixels wide."""
    mask = _resize(255.0 * (np.asarray(label) == 1), shape) > 127
    return mask & ~ndimage.binary_erosion(mask, iterations=2, border_value=1)


def _resize(values: np.ndarray, shape: Shape) -> np.ndarray:
    picture = Image.fromarray(np.round(values).astype(np.uint8))
    return np.asarray(picture.resize(shape[::-1], Image.Resampling.BOX))


def jpeg_uri(grey: np.ndarray, *, bytes_per_px: float) -> str:
    """Grey image (uint8) as JPEG, of the best quality that takes no more than so many bytes."""
    picture = Image.fromarray(grey)
    for quality in QUALITIES:
        stream = io.BytesIO()
        picture.save(stream, "JPEG", quality=quality, optimize=True)
        if stream.tell() <= bytes_per_px * grey.size:
            break
    return _uri("image/jpeg", stream.getvalue())


def mask_uri(mask: np.ndarray) -> str:
    """Boolean image as PNG of one bit per pixel."""
    stream = io.BytesIO()
    Image.fromarray(mask).save(stream, "PNG", optimize=True)
    return _uri("image/png", stream.getvalue())


def png_file_uri(path: str | Path) -> str:
    """PNG file as it is."""
    return _uri("image/png", Path(path).read_bytes())


def figure_uri(figure: Figure) -> str:
    """Figure as PNG."""
    stream = io.BytesIO()
    save_figure(figure, stream)
    return _uri("image/png", stream.getvalue())


def _uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def choose_micrographs(
    micrographs: Sequence[str], parts: Mapping[str, str], outliers: set[str], limit: int
) -> list[str]:
    """At most `limit` micrographs, in their order: the test part's first, then outliers, then evenly spaced ones."""
    rank = {name: 0 if parts.get(name) == "test" else 1 if name in outliers else 2 for name in micrographs}
    spread = evenly_spaced(len(micrographs), limit)
    order = sorted(range(len(micrographs)), key=lambda i: (rank[micrographs[i]], i not in spread, i))
    return [micrographs[i] for i in sorted(order[: max(1, limit)])]


def evenly_spaced(n: int, limit: int) -> set[int]:
    """At most `limit` of the indices 0 … n − 1, at equal distances."""
    return set(np.linspace(0, n - 1, min(n, limit)).round().astype(int).tolist()) if n else set()
