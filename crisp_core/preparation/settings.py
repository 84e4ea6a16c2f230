"""Settings of the preparation of micrographs."""

from typing import Literal

from crisp_core.sections import NonNegative, PixelSize, Section


class PreparationSettings(Section):
    """Micrographs as the network sees them."""

    working_pixel_size: PixelSize | None = None
    """Pixel size on which the network works in Å/px; null follows from the network and the diameter."""

    normalization: Literal["gaussian_mixture", "robust"] = "gaussian_mixture"
    """Estimate of mean and standard deviation: a mixture of two Gaussians (topaz-em), or median and MAD."""

    highpass_angstrom: NonNegative = 0.0
    """Width in Å of the Gaussian whose blur is subtracted; 0 is off."""

    margin_angstrom: NonNegative = 0.0
    """Width in Å of the border that is masked; nothing is cropped."""
