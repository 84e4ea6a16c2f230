"""The table of coordinates in memory.

Its columns are micrograph (stem), x, y (float, pixels of the full-resolution micrograph, (0, 0) is the centre of the
first pixel, rows in the order of the file) and score (NaN where a particle has none).
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd

COLUMNS = ("micrograph", "x", "y", "score")
# Score of a particle without a score, in files of RELION's manual picking and CASSPER.
NO_SCORE = -999.0


def coordinates_table(
    micrographs: Iterable[str], x: np.ndarray, y: np.ndarray, score: np.ndarray | None = None
) -> pd.DataFrame:
    """Return a table of coordinates with the columns `COLUMNS`.

    Parameters
    ----------
    micrographs : iterable of str
        Stem of the micrograph of each particle.
    x, y : np.ndarray
        `(n,)` centres of the particles in pixels of the micrograph.
    score : np.ndarray, optional
        `(n,)` scores; −999 and missing scores become NaN.
    """
    x = np.asarray(x, dtype=float)
    score = np.full(len(x), np.nan) if score is None else np.asarray(score, dtype=float)
    names = pd.Series(list(micrographs), dtype="str")
    score = np.where(score == NO_SCORE, np.nan, score)
    return pd.DataFrame({"micrograph": names, "x": x, "y": np.asarray(y, dtype=float), "score": score})
