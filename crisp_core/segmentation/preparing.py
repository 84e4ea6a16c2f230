"""Micrographs as a network saw those it was trained on."""

import numpy as np

from crisp_core.errors import UserError
from crisp_core.preparation.normalization import Prepared, prepare
from crisp_core.segmentation.checkpoints import SIZE_TOLERANCE, NetworkInput


def prepared_for(
    seen: NetworkInput, image: np.ndarray, pixel_size: float, diameter_angstrom: float, margin_angstrom: float = 0.0
) -> Prepared:
    """Prepare an image (h, w) as a network saw those it was trained on; never finer than the image itself (Å/px).

    Parameters
    ----------
    seen : NetworkInput
        Preparation of the images on which the network was trained.
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
        If the image is so coarse that the network would see the particle at another size.
    """
    if diameter_angstrom / pixel_size < (1 - SIZE_TOLERANCE) * seen.diameter_px:
        raise UserError(
            f"image: a particle is {diameter_angstrom / pixel_size:.3g} px wide, the network was trained on "
            f"{seen.diameter_px:.3g} px; give an image of at most {diameter_angstrom / seen.diameter_px:.3g} Å/px"
        )
    working = max(diameter_angstrom / seen.diameter_px, pixel_size)
    return prepare(
        image,
        pixel_size,
        working_pixel_size=working,
        normalization=seen.normalization,
        highpass_angstrom=seen.highpass_px * working,
        margin_angstrom=margin_angstrom,
    )
