"""Settings of a simulation and of its scenery."""

from typing import Annotated, Literal

from pydantic import Field

from crisp_core.sections import (
    RISING,
    TWO,
    AmountBounds,
    Count,
    CountBounds,
    Natural,
    NonNegative,
    Paths,
    PixelSize,
    Positive,
    PositiveBounds,
    Section,
    Share,
    ShareBounds,
)
from crisp_core.simulation.zoo_settings import ZooSettings

# names of `labels.thresholds`, a later package; a test compares them
Threshold = Literal[
    "li",
    "otsu",
    "yen",
    "isodata",
    "triangle",
    "minimum",
    "mean",
    "multiotsu",
    "hysteresis",
    "local",
    "niblack",
    "sauvola",
]


class NoiseScenery(Section):
    """Spectrum of the noise."""

    coloured_share: Share = 0.0
    """Share of the noise's variance whose power falls with frequency; the rest is white."""

    length_angstrom: Positive = 400.0
    """Length s in Å: the power of that share falls as (1 + (frequency · s)²)^-1.5."""

    falloff_angstrom: NonNegative = 0.0
    """Resolution in Å at which 1/e of the noise's power remains behind the detector; 0 is off."""


class GradientScenery(Section):
    """Slow change of brightness, as from uneven ice."""

    strength: NonNegative = 0.0
    """Standard deviation of the change, in particles."""

    length_angstrom: Positive = 4000.0
    """Shortest wavelength of the change in Å."""


class SolventScenery(Section):
    """Structure of the ice and of dissolved matter, which the CTF turns into contrast."""

    texture: NonNegative = 0.0
    """Standard deviation of the grain, in particles."""

    grain_angstrom: Positive = 8.0
    """Size of a grain in Å."""


class CarbonScenery(Section):
    """Edge of the carbon film."""

    probability: Share = 0.0
    """Share of the micrographs with a carbon edge."""

    area_share: ShareBounds = [0.05, 0.3]
    """Minimum and maximum share of the area that carbon covers on such a micrograph, approximately."""

    hole_radius_angstrom: Positive = 6000.0
    """Radius of the round hole in the film, in Å."""

    edge_waviness_angstrom: NonNegative = 20.0
    """Standard deviation in Å of the distance between the edge and a circle."""

    edge_angstrom: NonNegative = 30.0
    """Width in Å of the transition from ice to the whole thickness of the film."""

    density: NonNegative = 2.0
    """Density of the film, in particles."""

    texture: NonNegative = 0.4
    """Standard deviation of the film's grain, in particles."""

    grain_angstrom: Positive = 8.0
    """Size of a grain in Å."""

    absorption: Share = 0.3
    """Share of the density that also darkens the image without CTF (amplitude contrast)."""

    particles: Share = 0.0
    """Number of particles per area on carbon, relative to that on ice."""


class IceScenery(Section):
    """Crystals of ice: uneven hexagons."""

    n_per_micrograph: CountBounds = [0, 0]
    """Minimum and maximum number of crystals."""

    diameter_angstrom: PositiveBounds = [200.0, 1500.0]
    """Minimum and maximum diameter in Å."""

    density: AmountBounds = [2.0, 6.0]
    """Minimum and maximum density, in particles."""

    texture: NonNegative = 0.2
    """Standard deviation of the grain, as a share of the density."""

    grain_angstrom: Positive = 15.0
    """Size of a grain in Å."""

    absorption: Share = 0.3
    """Share of the density that also darkens the image without CTF (amplitude contrast)."""


class EthaneScenery(Section):
    """Beads of ethane: round."""

    n_per_micrograph: CountBounds = [0, 0]
    """Minimum and maximum number of beads."""

    diameter_angstrom: PositiveBounds = [100.0, 300.0]
    """Minimum and maximum diameter in Å."""

    density: AmountBounds = [1.0, 4.0]
    """Minimum and maximum density, in particles."""

    texture: NonNegative = 0.1
    """Standard deviation of the grain, as a share of the density."""

    grain_angstrom: Positive = 15.0
    """Size of a grain in Å."""

    absorption: Share = 0.3
    """Share of the density that also darkens the image without CTF (amplitude contrast)."""


class AggregateScenery(Section):
    """Clumps of particles, which are contaminants and not in the truth."""

    n_per_micrograph: CountBounds = [0, 0]
    """Minimum and maximum number of clumps."""

    n_particles: Annotated[list[Annotated[int, Field(ge=2)]], TWO, RISING] = [4, 15]
    """Minimum and maximum number of particles in a clump."""

    spacing_diameters: Positive = 0.4
    """Distance between neighbouring particles of a clump, in particle diameters."""


class NeighbourScenery(Section):
    """Particles placed next to another particle."""

    share: Share = 0.0
    """Share of the particles that get a neighbour."""

    distance_diameters: AmountBounds = [0.95, 1.1]
    """Minimum and maximum distance of the two centers, in particle diameters."""


class ScenerySettings(Section):
    """Everything in a micrograph except its particles; each part is off unless it is given.

    The unit of densities is the particle: 1 is the mean projected density of a particle over a disc of its diameter.
    """

    noise: NoiseScenery = NoiseScenery()
    gradient: GradientScenery = GradientScenery()
    solvent: SolventScenery = SolventScenery()
    carbon: CarbonScenery = CarbonScenery()
    ice: IceScenery = IceScenery()
    ethane: EthaneScenery = EthaneScenery()
    aggregates: AggregateScenery = AggregateScenery()
    neighbours: NeighbourScenery = NeighbourScenery()


class SimulationSettings(Section):
    """Simulated micrographs with known particles."""

    n_micrographs: Count = 12
    """Number of micrographs."""

    shape_px: Annotated[list[Annotated[int, Field(ge=64)]], Field(min_length=2, max_length=2)] = [1024, 1024]
    """Height and width of a micrograph, in pixels."""

    volume: Paths | None = None
    """Density map (.mrc .map .ccp4, also .gz .bz2; protein positive), EMDB entry (EMD-2984), atomic model (.cif .mmcif
    .pdb .ent, also .gz) or PDB entry (pdb:5a1a or 5A1A); null is ASPIRE's D2-symmetric phantom. With zoo, also globs
    and lists.

    Examples
    --------
        - map.mrc
        - EMD-2984
        - pdb:5a1a
        - [EMD-2984, models/*.cif]
    """

    volume_pixel_size: PixelSize | None = None
    """Pixel size of the map in Å/px; null is that in its header."""

    model_resolution_angstrom: Positive = 4.0
    """Resolution in Å of the density made from an atomic model; amplitudes fall to 1/e there."""

    n_particles: Annotated[list[Count], TWO, RISING] = [100, 200]
    """Minimum and maximum number of particles per micrograph."""

    min_distance_angstrom: NonNegative = 150.0
    """Minimum distance of two centers in Å; if it is below one diameter, particles may overlap."""

    margin_angstrom: NonNegative | None = None
    """Minimum distance of a center from the edge in Å; null is half the diameter."""

    defocus_angstrom: Annotated[list[Positive], Field(min_length=1)] = [
        *(15604.0, 15913.0, 16060.0, 19749.0, 23291.0, 24486.0, 27064.0, 27915.0, 28392.0, 30975.0, 33447.0)
    ]
    """Defocus values in Å to draw from, underfocus positive; the default is the list of EMPIAR-10017."""

    snr: Positive = 0.005
    """Signal-to-noise ratio: variance of the clean micrograph over variance of the noise."""

    snr_pixel_size: Positive = 1.77
    """Pixel size in Å/px for which `snr` is given."""

    threshold: Threshold = "li"
    """Threshold of scikit-image that turns the clean micrograph into the label."""

    seed: Natural | None = None
    """Seed of the micrographs; null is that of the config. Without zoo, two datasets that differ in volume or SNR
    alone have the same noise and the same places of particles: give a dataset for tests another seed."""

    zoo: ZooSettings | None = None
    """Micrographs of many volumes at one nominal scale, drawn from ranges. These ranges replace the keys n_particles to
    threshold and scenery. null is one volume; docs/simulation.md."""

    scenery: ScenerySettings | None = None
    """Everything in a micrograph except its particles; null leaves it out."""
