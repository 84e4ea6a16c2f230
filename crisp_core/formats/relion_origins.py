"""Origins of particles in RELION's STAR files: the shift that brings a particle to the middle of its box.

Source: RELION 3.1 and 5 source, `metadata_label.h`; RELION documentation, "Conventions".
"""

from pathlib import Path

import numpy as np
import pandas as pd

from crisp_core.errors import UserError
from crisp_core.formats.relion_coordinates import coordinates_block
from crisp_core.formats.relion_pixel_sizes import image_pixel_size
from crisp_core.formats.star import Block, number_column, read_blocks


def read_origins(path: str | Path, *, pixel_size: float) -> np.ndarray:
    """Origins of the particles of a refinement's STAR file.

    The centre of a particle on the micrograph is its coordinate minus its origin.

    Parameters
    ----------
    path : str or Path
        RELION's STAR file of particles (3.0, 3.1 or 5).
    pixel_size : float
        Å/px of the micrographs.

    Returns
    -------
    np.ndarray
        `(n, 2)` as (x, y) in pixels of the micrographs, in the order of `read_coordinates`.

    Raises
    ------
    UserError
        If the file is not a STAR file with coordinates, or has no origins.
    """
    if Path(path).suffix.lower() != ".star":
        raise UserError(
            f"{path}: is not a STAR file, so it has no origins for subtract_origins; leave out subtract_origins"
        )
    blocks = read_blocks(path)
    block = coordinates_block(path, blocks)
    if not any(set(block) >= {f"rlnOriginX{unit}", f"rlnOriginY{unit}"} for unit in ("", "Angst")):
        raise UserError(
            f"{path}: has no origins (rlnOriginXAngst); give refined particles, or leave out subtract_origins"
        )
    labels = ("rlnOriginXAngst", "rlnOriginYAngst")
    return np.column_stack([origins_angstrom(path, block, x, blocks.get("optics")) for x in labels]) / pixel_size


def origins_angstrom(path: str | Path, particles: pd.DataFrame, label: str, optics: Block | None) -> np.ndarray:
    """Origins of particles in Å, along one axis.

    Parameters
    ----------
    path : str or Path
        The file, for messages.
    particles : pd.DataFrame
        Its particles. RELION 3.0 and earlier have origins in pixels of the particle's image, under a label without
        `Angst`. Without either column, the origins are 0.
    label : str
        rlnOriginXAngst or rlnOriginYAngst.
    optics : table or dictionary, optional
        Its block data_optics.

    Raises
    ------
    UserError
        If a number is missing, or the pixel size for origins in pixels.
    """
    in_pixels = label.removesuffix("Angst")
    if label in particles:
        return number_column(path, particles, label)
    if in_pixels not in particles:
        return np.zeros(len(particles))
    return number_column(path, particles, in_pixels) * image_pixel_size(path, particles, optics)
