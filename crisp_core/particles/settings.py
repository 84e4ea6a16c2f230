"""Settings of particle images and of patches of noise."""

from typing import Annotated

from pydantic import Field

from crisp_core.sections import Count, NonNegative, PixelSize, Positive, Section


class ParticleSettings(Section):
    """Particle images."""

    extract: bool = True
    """Whether the default target extracts particle images; the target particles always does."""

    box_angstrom: Positive | None = None
    """Side of the box in Å; null is 1.5 particle diameters."""

    background_radius_angstrom: Positive | None = None
    """Radius in Å of the circle outside which pixels are background, for the normalisation; null is 37.5 % of the
    box."""

    stack_pixel_size: PixelSize | None = None
    """Pixel size of the stack in Å/px; null is that of the micrographs."""

    invert_contrast: bool = True
    """Whether to invert the contrast, so that protein is white, as RELION expects."""

    float16: bool = False
    """Whether to write stacks of half the size (MRC mode 12). RELION 4 and later and recent cryoSPARC read them,
    RELION 3.1 does not."""


class NoiseSettings(Section):
    """Patches of noise, which target `noise` cuts for denoisers; docs/noise.md."""

    side_px: Annotated[int, Field(ge=16, multiple_of=2)] = 128
    """Side of a patch, in the micrograph's pixels."""

    patches_per_micrograph: Count = 50
    """Maximum number of patches per micrograph."""

    threshold: Annotated[float, Field(gt=0, le=1)] = 0.2
    """Minimum probability of a pixel that counts as particle."""

    margin_angstrom: NonNegative = 50.0
    """Minimum distance in Å of a patch from pixels that count as particle, and from masked area."""

    overlap: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Maximum share of the area of a patch that another patch may cover."""
