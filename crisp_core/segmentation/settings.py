"""Settings of a network and of its prediction."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from crisp_core.classes import CLASSES
from crisp_core.sections import UNIQUE, Count, Natural, OneOf, Section, mistake


def _background_and_particle_first(names: list[str]) -> list[str]:
    if names[:2] != [*CLASSES[:2]]:
        raise mistake(f"{names!r} does not begin with {', '.join(CLASSES[:2])}; put these two first")
    return names


ClassNames = Annotated[
    list[Annotated[str, OneOf(CLASSES)]], Field(min_length=2), UNIQUE, AfterValidator(_background_and_particle_first)
]


class NetworkSettings(Section):
    """Network that classifies every pixel."""

    architecture: str = "unetplusplus"
    """Any architecture of segmentation_models.pytorch."""

    encoder: str = "tu-resnet10t"
    """Any encoder of segmentation_models.pytorch or timm (tu-…)."""

    pixels_per_diameter: Annotated[float, Field(ge=4)] = 25.0
    """Width of a particle on the images of the network in px. A dataset's working_pixel_size follows from it unless
    that is given."""

    classes: ClassNames = [*CLASSES[:2]]
    """Names of the classes, background and particle first. contaminant and carbon need labels that have them: the
    truth of a simulation with such scenery."""

    encoder_weights: str | None = "imagenet"
    """Start of the encoder; null starts at random, and so does a name without weights in the cache or on the hub."""

    options: dict[str, Any] | None = None
    """Keyword arguments of the architecture; null is a small decoder for unet and unetplusplus, and the defaults of
    segmentation_models.pytorch for others."""


class PredictionSettings(Section):
    """Prediction in tiles."""

    tile_px: Annotated[int, Field(ge=64)] = 512
    """Side of a tile, in working pixels."""

    overlap_px: Natural = 64
    """Overlap of neighbouring tiles, in working pixels."""

    tiles_per_step: Count = 4
    """Number of tiles per step."""

    turns: bool = False
    """Whether to average over four quarter turns; four times slower."""
