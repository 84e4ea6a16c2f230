"""Picks as cryoSPARC's own files: particle locations (.cs) on its exposures, and the group (.csg) that imports them.

Sources: cryoSPARC guide, "Manipulating .cs files"; cryosparc-tools; the .csg is laid out as those that cryoSPARC 3 and
4 export.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from crisp_core.errors import UserError
from crisp_core.formats.coordinates.names import match_names
from crisp_core.formats.cs_files import SCORE_FIELD, read_cs, text_field, write_cs
from crisp_core.geometry import Shape

EXPOSURE_FIELDS = ("uid", "micrograph_blob/path", "micrograph_blob/shape")
PIXEL_SIZE_FIELD = "micrograph_blob/psize_A"
# names, types and shapes as in the particles of cryoSPARC's pickers (cryosparc-tools, tests/test_dataset.py)
PICK_FIELDS = (
    ("uid", "<u8"),
    ("location/micrograph_uid", "<u8"),
    ("location/exp_group_id", "<u4"),
    ("location/micrograph_path", "S"),
    ("location/micrograph_shape", "<u4", (2,)),
    ("location/center_x_frac", "<f4"),
    ("location/center_y_frac", "<f4"),
    ("location/micrograph_psize_A", "<f4"),
    ("pick_stats/ncc_score", "<f4"),
    ("pick_stats/power", "<f4"),
    ("pick_stats/template_idx", "<u4"),
    ("pick_stats/angle_rad", "<f4"),
)
CSG = """created: 1970-01-01 00:00:00
group:
  description: Particles picked by CRISP
  name: particles
  title: Particles picked
  type: particle
results:
  location:
    metafile: '>{name}'
    num_items: {n}
    type: particle.location
  pick_stats:
    metafile: '>{name}'
    num_items: {n}
    type: particle.pick_stats
version: v3.3.0
"""


def write_picks(
    path: str | Path, coordinates: pd.DataFrame, *, exposures: str | Path, shapes: Mapping[str, Shape]
) -> pd.DataFrame:
    """Write picks as cryoSPARC's own particle locations: a .cs file and, next to it, the .csg that imports it.

    Parameters
    ----------
    path : str or Path
        File to write, `.cs`; the group goes to the same name with `.csg`.
    coordinates : pd.DataFrame
        Columns micrograph, x, y (full-resolution pixels, from the file's first row), score.
    exposures : str or Path
        The .cs file of the exposures, exported from the cryoSPARC project that shall import the picks: it has the
        UID, path and shape of each micrograph, which the picks refer to.
    shapes : mapping of str to (height, width)
        Shape of each picked micrograph in pixels, by stem. It may be binned and its exposure not.

    Returns
    -------
    pd.DataFrame
        Table of names as `match_names` makes it; picks on a micrograph without exposure are left out.

    Raises
    ------
    UserError
        If the exposures cannot be read or lack a field, or no micrograph matches one.

    Notes
    -----
    Fractions are 32-bit, so a coordinate moves by up to 2e-4 px on 4096 pixels. UIDs follow from the exposure's UID and
    the pick's row, so equal input gives equal bytes; the date in the .csg is fixed for the same reason.
    """
    if Path(path).suffix != ".cs":
        raise ValueError(f"{path} does not have the suffix .cs")
    picked = list(dict.fromkeys(coordinates["micrograph"]))
    given, names = match_exposures(exposures, picked, required=False)
    paths = text_field(given, "micrograph_blob/path")
    row_of = dict(zip(names["name"], names["micrograph"].map({p: i for i, p in enumerate(paths)}), strict=True))
    rows = coordinates["micrograph"].map(row_of)
    _check_shapes(exposures, given, names, row_of, shapes)
    picks = _pick_rows(coordinates[rows.notna()], given[rows.dropna().astype(int).to_numpy()], shapes)
    write_cs(path, picks)
    text = CSG.format(name=Path(path).name, n=len(picks))
    Path(path).with_suffix(".csg").write_text(text, encoding="utf-8", newline="\n")
    return names


def match_exposures(
    exposures: str | Path, micrographs: Sequence[str], *, required: bool = True
) -> tuple[np.ndarray, pd.DataFrame]:
    """Read exposures, and match the micrographs with their paths.

    Parameters
    ----------
    exposures : str or Path
        The .cs file of the exposures.
    micrographs : sequence of str
        Stems of the micrographs.
    required : bool
        Whether at least one micrograph must match.

    Returns
    -------
    tuple of np.ndarray and pd.DataFrame
        Rows of the file, and the table of names of `match_names`.

    Raises
    ------
    UserError
        If the file cannot be read or lacks a field, or no micrograph matches an exposure.
    """
    given = read_cs(exposures, EXPOSURE_FIELDS, cure="export the exposures with their micrograph_blob")
    try:
        return given, match_names(micrographs, text_field(given, "micrograph_blob/path"), required=required)
    except UserError as error:
        raise UserError(f"{exposures}: {error}") from None


def _check_shapes(
    path: str | Path, exposures: np.ndarray, names: pd.DataFrame, row_of: Mapping[str, int], shapes: Mapping[str, Shape]
) -> None:
    """Refuse exposures of other proportions than the micrographs, to which fractions of the sides cannot be applied."""
    for name in names.loc[names["micrograph"] != "", "name"]:
        picked, own = shapes[name], tuple(int(n) for n in exposures["micrograph_blob/shape"][int(row_of[name])])
        # programs round a binned side, some to an even number
        if min(own) > 0 and abs(picked[0] * own[1] - picked[1] * own[0]) > 2 * max(*picked, *own):
            raise UserError(
                f"{path}: the exposure of {name} has {own[0]} × {own[1]} px, the picked micrograph {picked[0]} × "
                f"{picked[1]}, which is another crop or turned; give the exposures of the picked micrographs"
            )


def _pick_rows(coordinates: pd.DataFrame, exposures: np.ndarray, shapes: Mapping[str, Shape]) -> np.ndarray:
    """Structured array of picks; row i of `exposures` is the micrograph of row i of `coordinates`."""
    paths = np.array([name.encode() for name in text_field(exposures, "micrograph_blob/path")], dtype=np.bytes_)
    given = exposures.dtype.names or ()
    types = [
        (name, f"S{max(1, paths.dtype.itemsize)}" if kind == "S" else kind, *shape)
        for name, kind, *shape in PICK_FIELDS
    ]
    if PIXEL_SIZE_FIELD not in given:
        types = [field for field in types if field[0] != "location/micrograph_psize_A"]
    # template and angle stay 0, as those of cryoSPARC's blob picker
    picks = np.zeros(len(coordinates), dtype=types)
    height, width = np.reshape([shapes[name] for name in coordinates["micrograph"]], (-1, 2)).T
    picks["uid"] = [_uid(uid, row) for row, uid in enumerate(exposures["uid"].tolist())]
    picks["location/micrograph_uid"] = exposures["uid"]
    picks["location/micrograph_path"] = paths
    picks["location/micrograph_shape"] = exposures["micrograph_blob/shape"]
    picks["location/center_x_frac"] = coordinates["x"].to_numpy(dtype=float) / width
    picks["location/center_y_frac"] = 1 - coordinates["y"].to_numpy(dtype=float) / height
    if "mscope_params/exp_group_id" in given:
        picks["location/exp_group_id"] = exposures["mscope_params/exp_group_id"]
    if PIXEL_SIZE_FIELD in given:
        picks["location/micrograph_psize_A"] = exposures[PIXEL_SIZE_FIELD]
    # Inspect Picks has a threshold for each of the two
    picks[SCORE_FIELD] = picks["pick_stats/power"] = coordinates["score"]
    return picks


def _uid(exposure_uid: int, row: int) -> int:
    return int.from_bytes(hashlib.blake2b(f"{exposure_uid} {row}".encode(), digest_size=8).digest(), "little")
