"""Orientations of particles, from RELION's star files and cryoSPARC's .cs files; one table in memory.

The table has the columns micrograph (stem), x, y (as in coordinates tables), rot, tilt, psi (degrees, RELION's
convention) and origin_x_angstrom, origin_y_angstrom. A particle's axis of projection goes through its position minus
its origin: RELION's origin is the shift that brings the particle to the middle of its box.
"""

import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from crisp_core.errors import UserError
from crisp_core.formats.cs_files import LOCATION_FIELDS, located, read_cs
from crisp_core.formats.relion_coordinates import coordinates_block, coordinates_of_block
from crisp_core.formats.relion_origins import origins_angstrom
from crisp_core.formats.star import number_column, read_blocks
from crisp_core.geometry import flipped_y

ANGLE_LABELS = {"rot": "rlnAngleRot", "tilt": "rlnAngleTilt", "psi": "rlnAnglePsi"}
ORIGIN_LABELS = {"origin_x_angstrom": "rlnOriginXAngst", "origin_y_angstrom": "rlnOriginYAngst"}
POSE_COLUMNS = ("micrograph", "x", "y", *ANGLE_LABELS, *ORIGIN_LABELS)
CRYOSPARC_FIELDS = (
    "alignments3D/pose",
    "alignments3D/shift",
    "alignments3D/psize_A",
    *LOCATION_FIELDS,
)
CRYOSPARC_CURE = (
    "export the refinement's particles from cryoSPARC together with their passthrough fields and give that .cs, "
    "or give pyem's star file of both"
)


def read_poses(path: str | Path) -> pd.DataFrame:
    """Read the orientations of a refinement.

    Parameters
    ----------
    path : str or Path
        RELION's STAR file of particles (3.0, 3.1 or 5, any number of optics groups) with positions and micrographs,
        or cryoSPARC's `.cs` file with alignments3D and location.

    Returns
    -------
    pd.DataFrame
        Columns `POSE_COLUMNS`; micrographs under the names in the file, x and y from the first row of the picked
        micrograph. Origins are 0 if a STAR file has none.

    Raises
    ------
    UserError
        If the file cannot be read, lacks a column or field, or has text in a column of numbers.
    """
    poses = _read_cryosparc(path) if Path(path).suffix.lower() == ".cs" else _read_star(path)
    return poses[list(POSE_COLUMNS)]


def upside_down(poses: pd.DataFrame, heights: Mapping[str, int]) -> pd.DataFrame:
    """Orientations on the same micrographs flipped top to bottom.

    A flipped projection is the projection from behind, so the density stays the same: rot + 180°, 180° − tilt, −psi.

    Parameters
    ----------
    poses : pd.DataFrame
        Columns `POSE_COLUMNS`.
    heights : Mapping[str, int]
        Height of each micrograph in pixels, by the name in the table.
    """
    rows = poses["micrograph"].map(dict(heights)).to_numpy(dtype=float)
    return poses.assign(
        y=flipped_y(poses["y"].to_numpy(), rows),
        rot=poses["rot"] + 180,
        tilt=180 - poses["tilt"],
        psi=-poses["psi"],
        origin_y_angstrom=-poses["origin_y_angstrom"],
    )


def _read_star(path: str | Path) -> pd.DataFrame:
    blocks = read_blocks(path)
    particles = coordinates_block(path, blocks)
    poses = coordinates_of_block(path, particles)
    for column, label in ANGLE_LABELS.items():
        poses[column] = number_column(path, particles, label)
    for column, label in ORIGIN_LABELS.items():
        poses[column] = origins_angstrom(path, particles, label, blocks.get("optics"))
    return poses


def _read_cryosparc(path: str | Path) -> pd.DataFrame:
    """Read a .cs file, as csparc2star of pyem does: the rotation vector takes the image's frame into the density's."""
    from scipy.spatial.transform import Rotation

    particles = read_cs(path, CRYOSPARC_FIELDS, cure=CRYOSPARC_CURE)
    numbers = [field for field in CRYOSPARC_FIELDS if not field.endswith("path")]
    wrong = [field for field in numbers if not np.isfinite(particles[field]).all()]
    if wrong:
        raise UserError(f"{path}: {wrong[0]} holds NaN or infinite values; export the particles again")
    with warnings.catch_warnings():
        # at tilt 0 only rot + psi counts, and scipy warns that it sets one of them to 0
        warnings.simplefilter("ignore", UserWarning)
        angles = Rotation.from_rotvec(particles["alignments3D/pose"].astype(float)).as_euler("ZYZ", degrees=True)
    origins = particles["alignments3D/shift"].astype(float) * particles["alignments3D/psize_A"][:, None]
    poses = located(particles)
    poses[list(ANGLE_LABELS)], poses[list(ORIGIN_LABELS)] = angles, origins
    return poses
