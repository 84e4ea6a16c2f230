"""Settings of the curation of micrographs and of the comparison by resolution."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from crisp_core.sections import (
    TWO,
    UNIQUE,
    Matching,
    Natural,
    NonNegative,
    Paths,
    PixelSize,
    PointGroup,
    Section,
    UserPath,
    mistake,
)


def _set_name(name: str) -> str:
    if name in ("picks", "truth", "false"):
        raise mistake(f"{name} is the name of a set that CRISP adds; rename it")
    return name


def _ordered(*, falling: bool) -> AfterValidator:
    def check(pair: list[float]) -> list[float]:
        """Refuse a pair whose bad value is reached before its doubtful one."""
        if pair[0] != pair[1] and (pair[1] > pair[0]) is falling:
            raise mistake(f"{pair[1]:g}, from which a micrograph is bad, comes before {pair[0]:g}, doubtful; swap them")
        return pair

    return AfterValidator(check)


VERDICTS = ("good", "doubtful", "bad")
# values from which a micrograph is doubtful, and bad
Maxima = Annotated[list[NonNegative], TWO, _ordered(falling=False)] | None
Minima = Annotated[list[NonNegative], TWO, _ordered(falling=True)] | None
SetName = Annotated[
    str,
    Matching("[A-Za-z][A-Za-z0-9_]*", "is not a name of a set; use letters, digits and _, beginning with a letter"),
    AfterValidator(_set_name),
]


class ResolutionSettings(Section):
    """Sets of particles; target `resolution` reconstructs half maps of each and compares them; docs/resolution.md."""

    program: Literal["relion", "aspire"] | None = None
    """Program that reconstructs the half maps; null is relion if it is installed, otherwise aspire."""

    symmetry: PointGroup = "C1"
    """Point group of the map, with axes as in RELION.

    Examples
    --------
        - C1
        - D2
        - O
    """

    seeds: Annotated[list[Natural], Field(min_length=1), UNIQUE] = [1, 2, 3]
    """Seeds; each repeats the comparison with other random subsets, halves and angles."""

    n_particles: Annotated[int, Field(ge=2)] | None = None
    """Number of particles in every set; null is the number in the smallest set."""

    pixel_size: PixelSize | None = None
    """Pixel size of the particle images in Å/px; null is that of the micrographs."""

    part: Literal["train", "validation", "test", "all"] = "test"
    """Part of the split whose picks are compared; only for a simulation."""

    false_shares: Annotated[list[Annotated[float, Field(gt=0, lt=1)]], UNIQUE] = [0.1, 0.3, 0.5]
    """Shares of false picks. Each makes a set of true particles with this share of false picks; only for a
    simulation."""

    picks: dict[SetName, Paths] = {}
    """Picks of other pickers, by name: coordinate files (glob or list) whose y counts from the top; only for a
    simulation.

    Examples
    --------
        - {topaz: other/topaz/*.star}
    """

    refined: dict[SetName, UserPath] = {}
    """Star or .cs files of refinements with angles and positions, by name; only for real micrographs.

    Examples
    --------
        - {mine: Refine3D/job020/run_data.star, experts: published/particles.star}
    """

    mask: UserPath | None = None
    """Mask (MRC) for all sets; null makes a mask from the map of the first set."""

    mask_lowpass_angstrom: NonNegative = 15.0
    """Low pass of the map from which the mask is made: resolution in Å at which amplitudes are halved; 0 is off."""

    mask_threshold: float | None = None
    """Density of the low-passed map above which a voxel is in the mask; null is Otsu's threshold."""

    mask_extend_angstrom: NonNegative | None = None
    """Distance in Å by which the mask is extended; null is 3 px."""

    mask_edge_angstrom: NonNegative | None = None
    """Width of the mask's soft edge in Å; null is 6 px."""


class CurationSettings(Section):
    """Verdict on every micrograph (curation.tsv): good, doubtful or bad, with the reason; docs/curation.md.

    Every threshold is a pair: the value from which a micrograph is doubtful, and the value from which it is bad. null
    turns the rule off.
    """

    exclude: Annotated[list[Literal["doubtful", "bad"]], UNIQUE] = []
    """Verdicts whose micrographs are excluded from particles and from the coordinates for RELION and cryoSPARC.

    Examples
    --------
        - [bad]
        - [doubtful, bad]
    """

    exclude_micrographs: Annotated[list[str], UNIQUE] = []
    """Names of micrographs that are excluded whatever their verdict.

    Examples
    --------
        - [Falcon_2012_06_12-14_33_35_0]
    """

    keep_micrographs: Annotated[list[str], UNIQUE] = []
    """Names of micrographs that are kept whatever their verdict.

    Examples
    --------
        - [Falcon_2012_06_12-15_17_31_0]
    """

    picked_share_min: Minima = [0.03, 0.02]
    """Minimum share of the valid area that the discs of the picks cover."""

    overlooked_signal_min: NonNegative | None = 5.0
    """`ice_signal` from which a micrograph with few picks is doubtful, not bad: particles may be overlooked."""

    dark_per_particle_max: Maxima = [0.1, 0.2]
    """Maximum area of dark objects that are not particles, relative to the area of the picks."""

    contaminant_share_max: Maxima = [0.1, 0.3]
    """Maximum share of the valid area that is predicted contaminant."""

    carbon_share_max: Maxima = [0.6, 1.0]
    """Maximum share of the valid area that is predicted carbon or film."""

    mottle_max: Maxima = [0.4, 0.45]
    """Maximum contrast of blotches (0.4 to 1.6 particle diameters), relative to that of fine detail (0.06 to 0.2)."""

    patchiness_max: NonNegative = 3.7
    """`patchiness` above which blotches are contaminants, aggregates or cracks; below, they are crystalline ice."""

    ice_ring_max: Maxima = [1.5, 2.0]
    """Maximum power of the rings of crystalline ice (3.4 to 3.95 Å), relative to that on both sides."""

    ice_signal_min: Minima = [1.5, 1.4]
    """Minimum power of waves of a particle's size, relative to that of counting noise; it is 1 without ice."""

    ice_gradient_max: Maxima = [2.0, 4.0]
    """Maximum contrast of slow changes (three particle diameters and more), relative to that of fine detail."""

    direction_max: Maxima = [0.2, 0.4]
    """Maximum direction of the power spectrum: 0 is isotropic, 1 is waves of one direction, as drift leaves."""

    aggregation_max: Maxima = None
    """Maximum share of picks that are nearer than a particle diameter to another pick."""

    median_score_min: Minima = None
    """Minimum median score of the picks."""

    ctf_resolution_max: Maxima = [8.0, 12.0]
    """Maximum resolution in Å to which the CTF fits (rlnCtfMaxResolution of the CTF file)."""

    ctf_figure_of_merit_min: Minima = None
    """Minimum figure of merit of the CTF fit (rlnCtfFigureOfMerit); its scale is that of the program that fitted."""

    defocus_min: Minima = None
    """Minimum mean defocus, in Å."""

    defocus_max: Maxima = None
    """Maximum mean defocus, in Å."""

    astigmatism_max: Maxima = [2000.0, 4000.0]
    """Maximum difference of the two defocus values, in Å."""

    @model_validator(mode="after")
    def _listed_once(self) -> Self:
        both = sorted(set(self.keep_micrographs) & set(self.exclude_micrographs))
        if both:
            raise mistake(f"{both[0]} is in keep_micrographs and in exclude_micrographs; remove it from one list")
        return self
