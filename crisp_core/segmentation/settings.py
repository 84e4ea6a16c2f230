"""Settings of a network and of its prediction."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from crisp_core.classes import CLASSES, REGISTRY
from crisp_core.sections import UNIQUE, Count, Natural, OneOf, Section, mistake


def _background_and_particle_first(names: list[str]) -> list[str]:
    if names[:2] != [*CLASSES[:2]]:
        raise mistake(f"{names!r} does not begin with {', '.join(CLASSES[:2])}; put these two first")
    return names


def _class_elements() -> str:
    """Every class after background and particle, with the elements of the scenery that show it."""
    elements = {each.name: ", ".join(each.elements) or "no element yet" for each in REGISTRY[2:]}
    return "; ".join(f"{name}: {shown}" for name, shown in elements.items())


ClassNames = Annotated[
    list[Annotated[str, OneOf(CLASSES)]], Field(min_length=2), UNIQUE, AfterValidator(_background_and_particle_first)
]


class NetworkSettings(Section):
    """Network that classifies every pixel."""

    architecture: str = "unetplusplus"
    """Any architecture of segmentation_models.pytorch.

    Examples
    --------
        - unet
        - fpn
    """

    encoder: str = "tu-resnet10t"
    """Any encoder of segmentation_models.pytorch, or of timm with tu- before its name.

    Examples
    --------
        - resnet34
        - tu-resnet18
    """

    pixels_per_diameter: Annotated[float, Field(ge=4)] = 25.0
    """Width of a particle in the images that the network sees, in px. The working_pixel_size of a dataset follows from
    it, unless the config gives working_pixel_size."""

    classes: ClassNames | None = Field(
        default=None,
        description="Names of the classes, background and particle first. Any other class needs labels that show it "
        f"(labels truth of a simulation whose scenery has an element of the class: {_class_elements()}), or a training "
        "that starts from a network with it. null is the classes of the network from which the training starts, else "
        "background and particle.",
        examples=[["background", "particle", "contaminant", "carbon"]],
    )

    encoder_weights: str | None = "imagenet"
    """Pretrained weights of the encoder. null starts with random weights, and so does a name whose weights are neither
    in the cache nor on the hub. Without effect if the training starts from a trained network (training/start)."""

    options: dict[str, Any] | None = None
    """Keyword arguments of the architecture in segmentation_models.pytorch. null is a small decoder for unet and
    unetplusplus, and the library's defaults for others.

    Examples
    --------
        - {decoder_channels: [128, 64, 32, 16, 8]}
    """


class PredictionSettings(Section):
    """Prediction in tiles."""

    tile_px: Annotated[int, Field(ge=64)] = 512
    """Side of a tile, in working pixels."""

    overlap_px: Natural = 64
    """Overlap of neighbouring tiles, in working pixels."""

    tiles_per_step: Count | None = None
    """Number of tiles that the network processes at once. null is one on a CPU, whose cache then holds most of what the
    network computes, and four on a GPU."""

    turns: bool = False
    """Whether to average the probabilities over four quarter turns of the image; four times slower."""
