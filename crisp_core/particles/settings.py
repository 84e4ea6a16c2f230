"""Settings of particle images and of patches of noise."""

from typing import Annotated

from pydantic import Field

from crisp_core.sections import Count, NonNegative, PixelSize, Positive, Section


class ParticleSettings(Section):
    """Particle images."""

    box_angstrom: Positive | None = None
    """Side of the box in Å; null is 1.5 diameters."""

    background_radius_angstrom: Positive | None = None
    """Radius in Å beyond which pixels are background; null is 37.5 % of the box."""

    stack_pixel_size: PixelSize | None = None
    """Pixel size of the stack in Å/px; null keeps the micrographs'."""

    invert_contrast: bool = True
    """Whether protein becomes white."""

    float16: bool = False
    """Whether to write stacks of half the size (MRC mode 12). RELION 4 and later and recent cryoSPARC read them,
    RELION 3.1 does not."""


class NoiseSettings(Section):
    """Patches of noise that the target noise samples; docs/noise.md explains it."""

    side_px: Annotated[int, Field(ge=16, multiple_of=2)] = 128
    """Side of a patch, in the micrograph's pixels."""

    patches_per_micrograph: Count = 50
    """Maximum number of patches per micrograph."""

    threshold: Annotated[float, Field(gt=0, le=1)] = 0.2
    """Probability from which on a pixel counts as particle."""

    margin_angstrom: NonNegative = 50.0
    """Distance in Å from such pixels and from masked area."""

    overlap: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Maximum share of its area that a patch has in common with another."""
