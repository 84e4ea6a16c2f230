"""Comparison of the pixel sizes in headers of files with each other and with the config.

The config's value is always used. A file that contradicts it causes a notice. A file that contradicts the other files
is refused, since one value cannot be right for both.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeGuard

import numpy as np

from crisp_core.errors import UserError
from crisp_core.formats.mrc import MRC_SUFFIXES, read_mrc_header


def stated_pixel_size(path: str | Path) -> float | None:
    """Pixel size (Å/px) in an MRC header.

    None for other formats, for an unreadable header, and for values of programs that do not know the pixel size: 0,
    exactly 1, or a pixel that is not square.
    """
    if Path(path).suffix.lower() not in MRC_SUFFIXES:
        return None
    try:
        header = read_mrc_header(path)
    except UserError:
        return None
    cell = np.array([header["cella"]["x"], header["cella"]["y"]], dtype=float)
    intervals = np.array([header["mx"], header["my"]], dtype=float)
    if not (np.isfinite(cell).all() and (cell > 0).all() and (intervals > 0).all()):
        return None
    x, y = cell / intervals
    return None if not equal_pixel_sizes(x, y) or abs(x - 1) < 1e-5 else round(float(x), 6)


def equal_pixel_sizes(a: float, b: float) -> bool:
    """Whether two pixel sizes differ by at most 1 %: by rounding, and not by another magnification."""
    return abs(a - b) <= 0.01 * max(a, b)


def agreed_pixel_size(stated: Iterable[float | None], expected: float) -> float | None:
    """Pixel size on which files agree: the expected one if any file states it, otherwise the most frequent.

    None if no file states a pixel size; None and NaN are skipped.
    """
    sizes = [round(float(size), 3) for size in stated if _is_number(size)]
    if any(equal_pixel_sizes(size, expected) for size in sizes):
        return expected
    return Counter(sizes).most_common(1)[0][0] if sizes else None


def check_stated_pixel_size(path: str | Path, agreed: float | None) -> None:
    """Refuse a micrograph with another pixel size in its header than the other micrographs.

    Parameters
    ----------
    path : str or Path
        The micrograph.
    agreed : float, optional
        Å/px; see `agreed_pixel_size`.
    """
    stated = stated_pixel_size(path)
    if stated is not None and agreed is not None and not equal_pixel_sizes(stated, agreed):
        raise UserError(
            f"{path}: its header says pixels of {stated:g} Å, those of other micrographs {agreed:g} Å; put micrographs "
            "of another pixel size into a dataset of their own, or correct the header"
        )


def header_notices(stated: Mapping[str, float | None], pixel_size: float) -> list[str]:
    """One line for each pixel size in headers that contradicts the config; `stated` has the sizes by path."""
    others: dict[float, list[str]] = {}
    for path, size in stated.items():
        if _is_number(size) and not equal_pixel_sizes(size, pixel_size):
            others.setdefault(round(float(size), 3), []).append(path)
    return [
        f"{paths[0]}: its header says pixels of {size:g} Å ({len(paths)} files in all), the config's pixel_size is "
        f"{pixel_size:g} Å, which is used; check which of the two is right"
        for size, paths in others.items()
    ]


def shape_notices(shapes: Mapping[str, tuple[int, int]], stated: Mapping[str, float | None]) -> list[str]:
    """One line for each size of micrographs that looks like another binning, where headers state no pixel size.

    Parameters
    ----------
    shapes : mapping of str to (height, width)
        Shapes by path.
    stated : mapping of str to float
        Pixel sizes in headers by path; None or NaN where there is none.
    """
    unknown = {path: shape for path, shape in shapes.items() if not _is_number(stated.get(path))}
    if not unknown:
        return []
    usual = Counter(shapes.values()).most_common(1)[0][0]
    others: dict[tuple[int, int], list[str]] = {}
    for path, shape in unknown.items():
        others.setdefault(shape, []).append(path)
    return [
        f"{paths[0]}: has {shape[0]} × {shape[1]} pixels ({len(paths)} files in all), others have {usual[0]} × "
        f"{usual[1]}, and its header states no pixel size; if the binning differs, give it a dataset of its own"
        for shape, paths in others.items()
        if _is_binned(shape, usual)
    ]


def _is_number(size: float | None) -> TypeGuard[float]:
    return size is not None and bool(np.isfinite(size))


def _is_binned(shape: tuple[int, int], usual: tuple[int, int]) -> bool:
    """Whether one shape is the other times 2, 3 or 4, to 1 %."""
    ratios = [max(a, b) / min(a, b) for a, b in zip(shape, usual, strict=True)]
    is_one_way = (shape[0] > usual[0]) == (shape[1] > usual[1])
    return is_one_way and any(np.allclose(ratios, factor, rtol=0.01) for factor in (2, 3, 4))
