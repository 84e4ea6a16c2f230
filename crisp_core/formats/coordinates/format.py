"""Facts about a coordinate format."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd


@dataclass(frozen=True, kw_only=True)
class CoordinateFormat:
    """One format of coordinate files: how it is recognised, read and written.

    Attributes
    ----------
    name : str
        Name in the config and in Python.
    description : str
        One line for docs/formats.md: the program and its files.
    suffixes : tuple of str
        Suffixes of its files, in lower case; the first is the usual one.
    read : function of (path, stem)
        Reader; returns a table of `coordinates_table`. `stem` is the micrograph of the file, for formats without names.
    write : function of (path, table, size_px), optional
        Writer; None if coordinates cannot be written by `write_coordinates`.
    accepts_header : function of column names, optional
        Whether a text table with these columns (lower case) has this format. None if the suffix alone decides.
    one_micrograph : bool
        Whether a file holds the particles of one micrograph only.
    names_micrographs : function of path, optional
        Whether a file names its micrographs, where this differs between files of the format.
    holds_blanks : bool
        Whether the name of a micrograph may have blanks, quotes, # or control characters.
    needs_size : bool
        Whether the writer needs the side of the box or the diameter in pixels (`size_px`).
    position : str
        Stored position of a particle, for the docs.
    score : str, optional
        Column of the score, for the docs; None if the format has no scores.
    rounding_px : float
        Maximum rounding error of a written coordinate below 20,000 px, in pixels.
    """

    name: str
    description: str
    suffixes: tuple[str, ...]
    read: Callable[[Path, str], pd.DataFrame]
    write: Callable[[Path, pd.DataFrame, float], None] | None = None
    accepts_header: Callable[[Sequence[str]], bool] | None = None
    one_micrograph: bool = True
    names_micrographs: Callable[[Path], bool] | None = None
    holds_blanks: bool = True
    needs_size: bool = False
    position: str = "centre"
    score: str | None = None
    rounding_px: float = 5e-5
