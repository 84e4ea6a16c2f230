"""Micrographs as a network saw those it was trained on."""

import numpy as np

from crisp_core.errors import UserError
from crisp_core.preparation.normalization import MOST_ENLARGED, Prepared, prepare
from crisp_core.segmentation.checkpoints import SIZE_TOLERANCE, NetworkInput


def seen_pixel_size(pixel_size: float, wanted: float) -> float:
    """Å/px at which a network sees an image: the one it wants, or that of the image if it is little coarser.

    So an image is enlarged only where the network would see particles smaller by more than a tenth.
    """
    return pixel_size if wanted <= pixel_size <= wanted / (1 - SIZE_TOLERANCE) else wanted


def too_coarse(pixel_size: float, wanted: float) -> bool:
    """Whether an image of a pixel size cannot be enlarged to the one that a network wants (Å/px)."""
    return pixel_size > MOST_ENLARGED * wanted


def prepared_for(
    seen: NetworkInput, image: np.ndarray, pixel_size: float, diameter_angstrom: float, margin_angstrom: float = 0.0
) -> Prepared:
    """Prepare an image (h, w) as a network saw those it was trained on.

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
        If the image is too coarse to be enlarged to that size.
    """
    wanted = diameter_angstrom / seen.diameter_px
    if too_coarse(pixel_size, wanted):
        raise UserError(
            f"image: a particle is {diameter_angstrom / pixel_size:.3g} px wide, the network was trained on "
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
