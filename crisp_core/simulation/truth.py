"""True particles of simulated micrographs as a table and as a star file."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from crisp_core.formats.coordinates.table import NO_SCORE
from crisp_core.formats.relion_optics import optics_table
from crisp_core.formats.star import write_blocks


def truth_table(name: str, xy: np.ndarray, euler_deg: np.ndarray, defocus_angstrom: float) -> pd.DataFrame:
    """Return the true particles of one micrograph as a table.

    Parameters
    ----------
    name : str
        Micrograph.
    xy : (n, 2) array
        Positions (x, y) in px.
    euler_deg : (n, 3) array
        RELION's Euler angles rot, tilt, psi in degrees.
    defocus_angstrom : float
        Defocus of the micrograph in Å, underfocus positive.

    Returns
    -------
    DataFrame
        Columns micrograph, x, y, score (NaN), and RELION's angles and defocus.
    """
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
    """Write true particles as a star file of RELION 3.1, for extraction and reconstruction.

    Parameters
    ----------
    path : str or Path
        Star file to write.
    coordinates : pd.DataFrame
        Results of `truth_table` for one or more micrographs.
    folder : str
        Folder of the micrographs as MRC files, relative to RELION's project directory.
    pixel_size : float
        Pixel size of the micrographs, Å/px.
    box_px : int
        Side of the density in px, which RELION uses as the box of the particles.
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
