"""Pictures of the report page as data URIs, small enough for a page below 15 MB."""

import base64
import io
import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image
from scipy import ndimage

from crisp_core.figures.style import LOWPASS_DIAMETERS, grey_limits, save_figure
from crisp_core.geometry import Shape
from crisp_core.report.limits import MAX_EMBEDDED

# Number and longest side of previews; with more previews, the side shrinks so that the number of pixels stays equal.
FULL_PREVIEWS = 20
PREVIEW_PX = 1400
# longest side of previews in a folder beside the page
DETACHED_PX = 1000
THUMBNAIL_PX = 200
# Maximum number of bytes per pixel of a picture; the quality is lowered accordingly.
IMAGE_BYTES, MAP_BYTES, THUMBNAIL_BYTES = 0.12, 0.04, 0.2
QUALITIES = (80, 70, 60, 50, 40, 30, 20, 10, 5)


def preview_side(n_previews: int) -> int:
    """Return the longest side of a preview in pixels on a page with `n_previews` previews."""
    if n_previews > MAX_EMBEDDED:
        return DETACHED_PX
    return int(PREVIEW_PX * min(1.0, math.sqrt(FULL_PREVIEWS / max(1, n_previews))))


def preview_shape(shape: Shape, side_px: int) -> Shape:
    """Return the shape (height, width) of a preview: longest side at most `side_px`, not larger than the image."""
    factor = min(1.0, side_px / max(shape))
    height, width = (max(1, round(n * factor)) for n in shape)
    return height, width


def grey_preview(image: np.ndarray, shape: Shape, *, diameter_px: float) -> np.ndarray:
    """Return a low-passed preview of a micrograph as uint8.

    Parameters
    ----------
    image : (h, w) array
        Micrograph.
    shape : (height, width)
        Shape of the preview.
    diameter_px : float
        Particle diameter in px of the image.
    """
    smooth = ndimage.gaussian_filter(np.nan_to_num(np.asarray(image, np.float32)), diameter_px * LOWPASS_DIAMETERS)
    low, high = grey_limits(smooth)
    return _resize(np.clip(255 * (smooth - low) / (high - low), 0, 255), shape)


def map_preview(probability: np.ndarray, shape: Shape) -> np.ndarray:
    """Return a preview of a probability map (0 to 1) as uint8 of a shape."""
    return _resize(255 * np.clip(np.nan_to_num(np.asarray(probability, np.float32)), 0, 1), shape)


def outline_preview(label: np.ndarray, shape: Shape) -> np.ndarray:
    """Return the outlines of a label, two pixels wide, as bool of a shape."""
    mask = _resize(255.0 * (np.asarray(label) == 1), shape) > 127
    return mask & ~ndimage.binary_erosion(mask, iterations=2, border_value=1)


def _resize(values: np.ndarray, shape: Shape) -> np.ndarray:
    picture = Image.fromarray(np.round(values).astype(np.uint8))
    return np.asarray(picture.resize(shape[::-1], Image.Resampling.BOX))


def jpeg_uri(grey: np.ndarray, *, bytes_per_px: float) -> str:
    """Return a grey image (uint8) as JPEG of the best quality within a number of bytes per pixel."""
    picture = Image.fromarray(grey)
    for quality in QUALITIES:
        stream = io.BytesIO()
        picture.save(stream, "JPEG", quality=quality, optimize=True)
        if stream.tell() <= bytes_per_px * grey.size:
            break
    return data_uri("image/jpeg", stream.getvalue())


def mask_uri(mask: np.ndarray) -> str:
    """Return a boolean image as PNG with one bit per pixel."""
    stream = io.BytesIO()
    Image.fromarray(mask).save(stream, "PNG", optimize=True)
    return data_uri("image/png", stream.getvalue())


def png_file_uri(path: str | Path) -> str:
    """Return a PNG file, unchanged."""
    return data_uri("image/png", Path(path).read_bytes())


def figure_uri(figure: Figure) -> str:
    """Return a figure as PNG."""
    stream = io.BytesIO()
    save_figure(figure, stream)
    return data_uri("image/png", stream.getvalue())


def data_uri(kind: str, data: bytes) -> str:
    """Return data as a URI of a MIME type."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def choose_micrographs(
    micrographs: Sequence[str],
    parts: Mapping[str, str],
    outliers: set[str],
    limit: int,
    preferred: Collection[str] = (),
) -> list[str]:
    """Choose micrographs to show: the preferred ones, then the test part, outliers and evenly spaced ones.

    Parameters
    ----------
    micrographs : sequence of str
        All micrographs.
    parts : mapping of micrograph to part
        Parts of the split.
    outliers : set of str
        Micrographs with an unusual number of picks.
    limit : int
        Maximum number of micrographs.
    preferred : collection of str
        Micrographs that are chosen before all others.

    Returns
    -------
    list of str
        Chosen micrographs, in the order of `micrographs`.
    """
    tests = {name for name in micrographs if parts.get(name) == "test"}
    groups = (set(preferred), tests, outliers, set(micrographs))
    rank = {name: next(i for i, group in enumerate(groups) if name in group) for name in micrographs}
    spread = evenly_spaced(len(micrographs), limit)
    order = sorted(range(len(micrographs)), key=lambda i: (rank[micrographs[i]], i not in spread, i))
    return [micrographs[i] for i in sorted(order[: max(1, limit)])]


def evenly_spaced(n: int, limit: int) -> set[int]:
    """Return at most `limit` of the indices 0 … n − 1, at equal distances."""
    return set(np.linspace(0, n - 1, min(n, limit)).round().astype(int).tolist()) if n else set()
