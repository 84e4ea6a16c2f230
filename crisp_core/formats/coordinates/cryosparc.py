"""Particle locations of cryoSPARC (`.cs`); `crisp_core.formats.cryosparc_picks.write_picks` writes them."""

from pathlib import Path

import numpy as np
import pandas as pd

from crisp_core.errors import UserError
from crisp_core.formats.coordinates.checks import not_single_particles
from crisp_core.formats.coordinates.format import CoordinateFormat
from crisp_core.formats.coordinates.table import coordinates_table
from crisp_core.formats.cs_files import LOCATION_FIELDS, SCORE_FIELD, located, read_cs

CURE = "export picked or extracted particles from cryoSPARC together with their passthrough fields"


def read(path: Path, stem: str) -> pd.DataFrame:
    """Read the locations of particles on many micrographs, counted from the first row of the file."""
    rows = read_cs(path, LOCATION_FIELDS, cure=CURE)
    fields = rows.dtype.names or ()
    if any(field.startswith("filament/") for field in fields):
        raise not_single_particles(path, "has the fields filament/…, so its particles are segments of filaments")
    table = located(rows)
    if not np.isfinite(table[["x", "y"]]).all(axis=None):
        raise UserError(f"{path}: a location is not a number; export the particles again")
    score = rows[SCORE_FIELD] if SCORE_FIELD in fields else None
    if score is not None and np.isinf(score).any():
        raise UserError(f"{path}: a score is infinite; export the particles again")
    return coordinates_table(table["micrograph"], table["x"].to_numpy(), table["y"].to_numpy(), score)


CRYOSPARC = CoordinateFormat(
    name="cryosparc",
    description="`.cs` of cryoSPARC with location (exported with passthrough fields)",
    suffixes=(".cs",),
    read=read,
    one_micrograph=False,
    position="fraction of width and height, from the bottom-left",
    score=SCORE_FIELD,
    rounding_px=1e-3,
)
