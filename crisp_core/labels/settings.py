"""Settings of label images."""

from typing import Annotated, Literal

from pydantic import Field

from crisp_core.sections import Count, NonNegative, PixelSize, PointGroup, Positive, Section, Share, UserPath

OutlineThreshold = Literal[
    "li", "otsu", "yen", "isodata", "triangle", "minimum", "mean", "multiotsu", "hysteresis", "silhouette"
]


class ReconstructionSettings(Section):
    """Search for orientations by the label sources relion, aspire and matching."""

    pixel_size: PixelSize | None = None
    """Pixel size of the particle images in Å/px; null is a 25th of the diameter."""

    symmetry: PointGroup = "C1"
    """Point group of the particle, with axes as in RELION.

    Examples
    --------
        - C1
        - D2
        - O
    """

    initial_lowpass_angstrom: Positive = 30.0
    """Low pass of labels/map at the start of the search, in Å. Only relion uses finer detail later."""

    shift_range_angstrom: Positive | None = None
    """Maximum distance in Å of a particle from its coordinate; null is a sixth of the diameter."""

    iterations: Count = 8
    """Number of iterations of relion_refine."""

    class_averages: Annotated[int, Field(ge=10)] = 40
    """Number of class averages from which aspire makes its map."""


class ClickSettings(Section):
    """Outlines from coordinates alone (source clicks), by a conditional random field."""

    lowpass_diameters: Positive | None = None
    """Standard deviation of the Gaussian that smooths the micrograph, in particle diameters; null chooses it for each
    micrograph by a simulation of its particles and its noise.

    Examples
    --------
        - 0.06
    """

    gamma_diameters: Positive = 0.06
    """Standard deviation γ of the smoothness kernel, in particle diameters."""

    weight: NonNegative | None = None
    """Weight of the smoothness kernel; 0 classifies each pixel on its own; null chooses it as the low pass.

    Examples
    --------
        - 2.0
    """

    unary_scale: Share = 0.2
    """Factor of the log-odds of the grey values, below 1 since noise is correlated between pixels."""

    rounds: Count = 4
    """Number of rounds of expectation maximisation."""

    unsure_margin: Annotated[float, Field(ge=0, lt=0.5)] = 0.0
    """Pixels near a particle whose probability differs from 0.5 by less than this do not count in training; 0 is off.

    Examples
    --------
        - 0.2
    """


class LabelSettings(Section):
    """Labels to train on; docs/labels.md helps to choose the source."""

    source: Literal["truth", "disc", "clicks", "poses", "relion", "aspire", "matching"] | None = None
    """Source of the labels. null is truth (threshold of the clean image) for a simulation, and disc for coordinates.
    clicks estimates outlines from the pixels around the coordinates. The other sources draw the outline of each
    particle from its orientation: poses reads orientations from a file; relion, aspire and matching find them."""

    disc_radius_angstrom: Positive | None = None
    """Radius of a disc in Å. null is a quarter of the diameter; for a particle without orientation, the disc then has
    the mean area of the outlines."""

    poses: UserPath | None = None
    """Star file of RELION or .cs file of cryoSPARC with angles and positions; null is the known ones of a simulation.

    Examples
    --------
        - Refine3D/job020/run_data.star
        - J42_particles.cs
    """

    poses_origin: Literal["top-left", "bottom-left"] = "top-left"
    """Row order of the positions in a star or .cs file; bottom-left if the refined micrographs are upside down
    compared with the dataset's files."""

    map: UserPath | None = None
    """Map (MRC), protein positive: the refined map for poses, the reference of matching, or the start of relion. null
    is the known map of a simulation for poses and matching; relion then makes an initial model.

    Examples
    --------
        - Refine3D/job020/run_class001.mrc
    """

    mask: UserPath | None = None
    """Mask (MRC) with the size and pixel size of the map; null makes a mask from the low-passed map."""

    map_lowpass_angstrom: NonNegative = 20.0
    """Low pass of the map before it is projected: resolution in Å at which amplitudes are halved; 0 is off."""

    threshold: OutlineThreshold = "li"
    """Threshold of scikit-image that turns the projection of each particle into an outline; silhouette is the outline
    of the projected mask."""

    without_orientation: Literal["disc", "omit"] = "disc"
    """Label of a particle that has no orientation."""

    clicks: ClickSettings = ClickSettings()

    instances: bool = False
    """Whether label files also contain the number of the particle to which each pixel belongs."""

    reconstruction: ReconstructionSettings = ReconstructionSettings()
