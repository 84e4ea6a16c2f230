"""Micrographs as a network expects them."""

import numpy as np

from crisp_core.errors import UserError
from crisp_core.preparation.enlargement import MOST_ENLARGED, seen_pixel_size, too_coarse
from crisp_core.preparation.normalization import Prepared, prepare
from crisp_core.segmentation.checkpoints import NetworkInput


def prepared_for(
    seen: NetworkInput, image: np.ndarray, pixel_size: float, diameter_angstrom: float, margin_angstrom: float = 0.0
) -> Prepared:
    """Prepare an image (h, w) as a network expects it.

    Parameters
    ----------
    seen : NetworkInput
        Preparation of the images that the network expects.
    image : (h, w) array
        Grey values of one micrograph.
    pixel_size : float
        Pixel size of the image, in Å/px.
    diameter_angstrom : float
        Particle diameter, in Å.
    margin_angstrom : float
        Width of the edge that does not count, in Å; as in `prepare`.

    Raises
    ------
    UserError
        If the image is too coarse to be enlarged to that size.
    """
    wanted = diameter_angstrom / seen.diameter_px
    if too_coarse(pixel_size, wanted):
        raise UserError(
            f"image: a particle is {diameter_angstrom / pixel_size:.3g} px wide, the network expects "
            f"{seen.diameter_px:.3g} px; give an image of at most {MOST_ENLARGED * wanted:.3g} Å/px"
        )
    working = seen_pixel_size(pixel_size, wanted)
    return prepare(
        image,
        pixel_size,
        working_pixel_size=working,
        normalization=seen.normalization,
        highpass_angstrom=seen.highpass_px * working,
        margin_angstrom=margin_angstrom,
    )
