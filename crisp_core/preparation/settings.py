"""Settings of the preparation of micrographs."""

from typing import Literal

from crisp_core.sections import NonNegative, PixelSize, Section


class PreparationSettings(Section):
    """Micrographs as the network sees them."""

    working_pixel_size: PixelSize | None = None
    """Pixel size of the images that the network sees, in Å/px. null is the particle diameter divided by the width at
    which the network sees a particle: network/pixels_per_diameter, or 27.5 px for `general`. Micrographs that are
    coarser keep their pixels where a network is trained on them, and are enlarged, up to 2.5 times, for a network that
    was trained on others."""

    normalization: Literal["gaussian_mixture", "robust"] = "gaussian_mixture"
    """Estimate of mean and standard deviation: a mixture of two Gaussians as in Topaz, or median and median absolute
    deviation (robust)."""

    highpass_angstrom: NonNegative = 0.0
    """Standard deviation in Å of the Gaussian blur that is subtracted from the micrograph; 0 is off."""

    margin_angstrom: NonNegative = 0.0
    """Width in Å of the border that is masked, and so has no picks; nothing is cropped."""
