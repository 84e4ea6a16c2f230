"""cryoSPARC's .cs files: structured arrays of NumPy, one row per item, with fields like location/center_x_frac.

Source: cryoSPARC guide, "Manipulating .cs files"; pyem, `metadata.py`.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from crisp_core.errors import UserError, opening
from crisp_core.formats.stems import distinct_stems

LOCATION_FIELDS = (
    "location/micrograph_path",
    "location/micrograph_shape",
    "location/center_x_frac",
    "location/center_y_frac",
)
SCORE_FIELD = "pick_stats/ncc_score"
# Numbers per row, for fields with more than one.
FIELD_SHAPES = {
    "location/micrograph_shape": (2,),
    "micrograph_blob/shape": (2,),
    "alignments3D/pose": (3,),
    "alignments3D/shift": (2,),
}


def read_cs(path: str | Path, fields: Sequence[str], *, cure: str) -> np.ndarray:
    """Read the structured array of a .cs file.

    Parameters
    ----------
    path : str or Path
        File.
    fields : sequence of str
        Fields that it must have.
    cure : str
        What the user can do if a field is missing: the end of the message.

    Raises
    ------
    UserError
        If the file cannot be read, is not a .cs file, lacks a field or has one of another type.
    """
    try:
        with opening(path):
            # memory-mapped: NumPy checks the length of the file before memory is taken
            rows = np.load(path, mmap_mode="r", allow_pickle=False)
    except UserError:
        raise
    except Exception:  # NumPy's parser of headers raises many kinds of errors
        raise UserError(f"{path}: is not a cryoSPARC .cs file; export the particles again") from None
    names = getattr(getattr(rows, "dtype", None), "names", None) or ()
    missing = [field for field in fields if field not in names]
    if missing:
        raise UserError(f"{path}: has no field {missing[0]}; {cure}")
    for field in fields:
        kind, letters = rows.dtype[field], "SU" if field.endswith("path") else "fiu"
        if kind.shape != FIELD_SHAPES.get(field, ()) or kind.base.kind not in letters:
            raise UserError(f"{path}: field {field} has the type {kind}, unlike in cryoSPARC's files; {cure}")
    return np.atleast_1d(np.array(rows))


def write_cs(path: str | Path, rows: np.ndarray) -> None:
    """Write a structured array as a .cs file; equal input gives equal bytes."""
    with open(path, "wb") as file:  # np.save would add .npy to the name
        np.save(file, rows, allow_pickle=False)


def text_field(rows: np.ndarray, field: str) -> list[str]:
    """Text of a field, which cryoSPARC stores as bytes or as a string; bytes that are not UTF-8 become �."""
    texts = rows[field].tolist()
    return [text.decode(errors="replace") if isinstance(text, bytes) else str(text) for text in texts]


def located(rows: np.ndarray) -> pd.DataFrame:
    """Positions of particles on their micrographs.

    Parameters
    ----------
    rows : np.ndarray
        Structured array with `LOCATION_FIELDS`.

    Returns
    -------
    pd.DataFrame
        Columns micrograph (stem, with cryoSPARC's UID where it has one), x and y in pixels of the micrograph, from the
        first row of the file that cryoSPARC saw: its fractions count from the bottom, y = (1 − fraction) × height.
    """
    height, width = rows["location/micrograph_shape"].astype(float).reshape(-1, 2).T
    names = pd.Series(distinct_stems(text_field(rows, "location/micrograph_path")), dtype="str")
    x = rows["location/center_x_frac"].astype(float) * width
    y = (1 - rows["location/center_y_frac"].astype(float)) * height
    return pd.DataFrame({"micrograph": names, "x": x, "y": y})
