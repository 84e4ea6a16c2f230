"""Settings of label images."""

from typing import Annotated, Literal

from pydantic import Field

from crisp_core.sections import Count, NonNegative, PixelSize, PointGroup, Positive, Section, UserPath

OutlineThreshold = Literal[
    "li", "otsu", "yen", "isodata", "triangle", "minimum", "mean", "multiotsu", "hysteresis", "silhouette"
]


class ReconstructionSettings(Section):
    """Search for orientations by relion, aspire or matching."""

    pixel_size: PixelSize | None = None
    """Pixel size of the particle images in Å/px; null is a 25th of the diameter."""

    symmetry: PointGroup = "C1"
    """Point group, with the map's axes as in RELION."""

    initial_lowpass_angstrom: Positive = 30.0
    """Resolution in Å to which labels/map is used at the start; relion refines beyond it."""

    shift_range_angstrom: Positive | None = None
    """Maximum distance in Å of a particle from its coordinate; null is a sixth of the diameter."""

    iterations: Count = 8
    """Iterations of relion."""

    class_averages: Annotated[int, Field(ge=10)] = 40
    """Number of class averages from which aspire makes its map."""


class LabelSettings(Section):
    """Labels to train on; docs/labels.md says which source suits which data."""

    source: Literal["truth", "disc", "poses", "relion", "aspire", "matching"] | None = None
    """Source of the labels; null is truth (threshold of the clean image) for a simulation and disc for coordinates.
    poses reads orientations from a file; relion, aspire and matching find them."""

    disc_radius_angstrom: Positive | None = None
    """Radius of a disc in Å. null is a quarter of the diameter; for a particle without orientation, the disc of the
    outlines' mean area."""

    poses: UserPath | None = None
    """Star file of RELION or .cs file of cryoSPARC with angles and positions; null takes a simulation's own."""

    poses_origin: Literal["top-left", "bottom-left"] = "top-left"
    """Row order of the positions in a star or .cs file; bottom-left if the refined micrographs are upside down
    compared with these files."""

    map: UserPath | None = None
    """Map (MRC): the refined map for poses, the reference of matching, the start of relion. null takes a simulation's
    own for poses and matching, and lets relion make its own."""

    mask: UserPath | None = None
    """Mask on the map's grid; null makes one from the low-passed map."""

    map_lowpass_angstrom: NonNegative = 20.0
    """Resolution in Å at which the map's amplitudes are halved; 0 is off."""

    threshold: OutlineThreshold = "li"
    """Threshold of scikit-image for each particle's projection; silhouette takes everything below the mask."""

    without_orientation: Literal["disc", "omit"] = "disc"
    """Label of a particle that has no orientation."""

    instances: bool = False
    """Whether to write also which particle each pixel belongs to."""

    reconstruction: ReconstructionSettings = ReconstructionSettings()
