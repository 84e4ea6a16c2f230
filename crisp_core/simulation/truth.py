"""True particles of simulated micrographs as a table and as a star file."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from crisp_core.formats.star import NO_SCORE, optics_table, write_blocks


def truth_table(name: str, xy: np.ndarray, euler_deg: np.ndarray, defocus_angstrom: float) -> pd.DataFrame:
    """Table of the true particles of one micrograph: positions, and RELION's Euler angles and defocus."""
    table = pd.DataFrame({"micrograph": name, "x": xy[:, 0], "y": xy[:, 1], "score": np.nan})
    table[["rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"]] = euler_deg
    table["rlnDefocusU"] = table["rlnDefocusV"] = defocus_angstrom
    table["rlnDefocusAngle"] = 0.0
    return table.astype({"micrograph": str})


def write_truth(
    path: str | Path,
    coordinates: pd.DataFrame,
    *,
    folder: str,
    pixel_size: float,
    box_px: int,
    optics: Mapping[str, float],
) -> None:
    """Write the true particles as a star file of RELION 3.1 that its programs can extract from and reconstruct.

    Parameters
    ----------
    path : str or Path
    coordinates : pd.DataFrame
        Of one or more simulated micrographs.
    folder : str
        Where the micrographs are as MRC files, relative to RELION's project directory.
    pixel_size : float
        Å/px of the micrographs.
    box_px : int
        Side of the density's box, which RELION takes for that of the particles.
    optics : mapping
        voltage_kv, spherical_aberration_mm, amplitude_contrast.
    """
    group = optics_table(**optics, micrograph_pixel_size=pixel_size, pixel_size=pixel_size, box_px=box_px)
    particles = pd.DataFrame(
        {
            "rlnCoordinateX": coordinates["x"],
            "rlnCoordinateY": coordinates["y"],
            "rlnMicrographName": folder + "/" + coordinates["micrograph"] + ".mrc",
            "rlnAutopickFigureOfMerit": coordinates["score"].fillna(NO_SCORE),
            "rlnOpticsGroup": 1,
        }
    )
    particles = pd.concat([particles, coordinates.filter(like="rln")], axis=1)
    write_blocks(path, {"optics": group.assign(rlnMicrographPixelSize=float(pixel_size)), "particles": particles})
