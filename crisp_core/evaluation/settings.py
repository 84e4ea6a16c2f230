"""Settings of the comparison by resolution."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from crisp_core.sections import (
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


SetName = Annotated[
    str,
    Matching("[A-Za-z][A-Za-z0-9_]*", "is not a name of a set; use letters, digits and _, beginning with a letter"),
    AfterValidator(_set_name),
]


class ResolutionSettings(Section):
    """Sets of particles whose maps the target resolution compares; docs/resolution.md explains it."""

    program: Literal["relion", "aspire"] | None = None
    """Program that reconstructs the half maps; null takes relion where it is installed, else aspire."""

    symmetry: PointGroup = "C1"
    """Point group of the map, with axes as in RELION."""

    seeds: Annotated[list[Natural], Field(min_length=1), UNIQUE] = [1, 2, 3]
    """Seeds: each draws its own subsets, halves and random angles."""

    n_particles: Annotated[int, Field(ge=2)] | None = None
    """Number of particles in every set; null is the size of the smallest."""

    pixel_size: PixelSize | None = None
    """Pixel size of the particle images in Å/px; null is the micrographs'."""

    part: Literal["train", "validation", "test", "all"] = "test"
    """Simulation: part of the split whose picks count."""

    false_shares: Annotated[list[Annotated[float, Field(gt=0, lt=1)]], UNIQUE] = [0.1, 0.3, 0.5]
    """Simulation: sets of true particles with this share of false picks."""

    picks: dict[SetName, Paths] = {}
    """Simulation: coordinate files (glob or list, y = 0 on top) of other pickers, by name, for comparison."""

    refined: dict[SetName, UserPath] = {}
    """Real micrographs: star or .cs files of refinements with angles and positions, by name."""

    mask: UserPath | None = None
    """Mask (MRC) for all sets; null makes one from the first set's map."""

    mask_lowpass_angstrom: NonNegative = 15.0
    """Resolution in Å at which the map's amplitudes are halved for the mask; 0 is off."""

    mask_threshold: float | None = None
    """Density of the low-passed map at the mask's edge; null is Otsu's."""

    mask_extend_angstrom: NonNegative | None = None
    """Extension of the mask in Å; null is 3 px."""

    mask_edge_angstrom: NonNegative | None = None
    """Width of the mask's soft edge in Å; null is 6 px."""
