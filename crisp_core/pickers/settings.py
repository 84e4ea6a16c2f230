"""Settings of other pickers."""

from typing import Annotated, Literal

from pydantic import Field

from crisp_core.datasets.settings import CoordinateFormat, Origin
from crisp_core.sections import Count, Paths, PixelSize, Positive, Section, Share

Threshold = float | Literal["published"] | None
Leak = bool | Literal["unknown"]


class PickerSettings(Section):
    """Settings that all other pickers have."""

    threshold: Threshold = None
    """Minimum score of a pick. null chooses the one of best F1 on the validation part; published takes all picks and
    removes none by rule."""

    leak: Leak = "unknown"
    """Whether the picker was trained on micrographs of this dataset; tables show it."""


class PickedFiles(PickerSettings):
    """Picks from files, read as datasets/coordinates."""

    files: Paths
    """Glob, or list of globs and paths: one file per micrograph or one for all. Micrographs that no file names were
    not picked."""

    format: CoordinateFormat = "auto"
    """Format of the files; auto finds it by suffix and header."""

    origin: Origin
    """Row order: whether y counts from the top or the bottom of the image file. It is checked against the images."""

    scale: Positive = 1.0
    """Factor from the files' coordinates to pixels of these micrographs: 2 if the particles were picked on
    micrographs binned by 2. It is checked against the images."""

    threshold: Threshold = "published"
    """Minimum score of a pick. null chooses the one of best F1 on the validation part; published takes all picks and
    removes none by rule."""


class TopazSettings(PickerSettings):
    """Settings that all detectors of Topaz have."""

    pixel_size: PixelSize | None = None
    """Pixel size in Å/px of the images for Topaz; null is preparation/working_pixel_size."""

    radius_diameters: Positive = 0.5
    """Extraction radius of Topaz: minimum distance of two picks, in particle diameters."""


class PretrainedTopaz(TopazSettings):
    """Detector that comes with Topaz."""

    program: Literal["topaz-pretrained"]
    """Name of the program."""

    model: Literal["resnet8_u32", "resnet8_u64", "resnet16_u32", "resnet16_u64"] = "resnet16_u64"
    """Name of the detector."""


class TrainedTopaz(TopazSettings):
    """Detector that Topaz trains on the training part; the defaults are Topaz's own."""

    program: Literal["topaz"]
    """Name of the program."""

    model: Literal["resnet8", "resnet16"] = "resnet8"
    """Architecture."""

    units: Literal[32, 64] = 32
    """Number of units of the first layer."""

    pretrained: bool = True
    """Whether to start from the detector that comes with Topaz."""

    epochs: Count = 10
    """Number of epochs."""

    updates_per_epoch: Count = 1000
    """Number of minibatches per epoch."""

    minibatch_size: Annotated[int, Field(ge=16)] = 256
    """Number of crops per minibatch."""

    learning_rate: Positive = 0.0002
    """Learning rate."""

    target_radius_px: Count = 3
    """Distance from a particle's center within which pixels count as particle."""

    expected_particles: Positive | None = None
    """Number of particles per micrograph, where the coordinates are incomplete; null is their mean number on the
    training part."""


class RelionLog(PickerSettings):
    """Laplacian-of-Gaussian picker of RELION."""

    program: Literal["relion-log"]
    """Name of the program."""

    diameter_min_angstrom: Positive | None = None
    """Diameter of the smallest blob in Å; null is 0.785 of the particle's diameter."""

    diameter_max_angstrom: Positive | None = None
    """Diameter of the largest blob in Å; null is 0.942 of the particle's diameter."""

    threshold_adjustment: float = 0.0
    """Adjustment of RELION's own threshold; a negative one finds more candidates."""

    lowpass_angstrom: Positive = 20.0
    """Low pass of the micrograph in Å."""

    white_particles: bool = False
    """Whether particles are brighter than their surroundings."""

    leak: Leak = False
    """Whether the picker was trained on micrographs of this dataset; tables show it."""


class SkimageLog(PickerSettings):
    """Laplacian-of-Gaussian blobs of scikit-image."""

    program: Literal["skimage-log"]
    """Name of the program."""

    diameters: Annotated[list[Positive], Field(min_length=2, max_length=2)] = [0.6, 1.0]
    """Smallest and largest blob, in particle diameters."""

    n_scales: Count = 4
    """Number of scales between them."""

    least_score: Positive = 0.05
    """Minimum score of a candidate."""

    overlap: Share = 0.3
    """Maximum overlap of two blobs, as a share of their area; beyond it the smaller one is removed."""

    white_particles: bool = False
    """Whether particles are brighter than their surroundings."""

    leak: Leak = False
    """Whether the picker was trained on micrographs of this dataset; tables show it."""


PROGRAMS: dict[str, type[PickerSettings]] = {
    "topaz-pretrained": PretrainedTopaz,
    "topaz": TrainedTopaz,
    "relion-log": RelionLog,
    "skimage-log": SkimageLog,
}
