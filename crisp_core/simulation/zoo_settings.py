"""Ranges from which a zoo draws every micrograph: the config's section `simulation/zoo`."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def _rising(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[0] > bounds[1]:
        raise ValueError("the minimum is larger than the maximum; swap them")
    return bounds


Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Range = Annotated[tuple[Annotated[float, Field(ge=0)], Annotated[float, Field(ge=0)]], AfterValidator(_rising)]
PositiveRange = Annotated[tuple[Positive, Positive], AfterValidator(_rising)]
ShareRange = Annotated[tuple[Share, Share], AfterValidator(_rising)]
Counts = Annotated[tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]], AfterValidator(_rising)]


class ZooSettings(BaseModel):
    """What a zoo draws for every micrograph; a pair is the minimum and the maximum."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # volumes
    exclude: tuple[str, ...] = Field((), description="names of volumes, or leak groups of the table, that are left out")
    table: str | None = Field(
        None,
        description="table of the volumes (tab-separated, columns id, membrane, keep_out_of_training_when_testing_on)",
    )
    shells: Share = Field(0.08, description="share of the micrographs with a random hollow shell as the particle")
    blobs: Share = Field(0.08, description="share of the micrographs with a random lumpy shape as the particle")
    mixed: Share = Field(0.12, description="share of the micrographs with a second kind of particle")
    extent_spread: Share = Field(0.2, description="the longest extent is the nominal diameter ± this share")
    micelle_angstrom: PositiveRange = Field(
        (15, 30), description="Å; thickness of the detergent around membrane proteins"
    )
    micelle_density: Range = Field((0.35, 0.9), description="of the detergent, relative to the protein")

    # particles
    empty: Share = Field(0.12, description="share of the micrographs without particles")
    coverage: PositiveRange = Field(
        (0.05, 0.5), description="share of the area that the particles' discs cover, log-uniform"
    )
    distance_diameters: PositiveRange = Field(
        (0.55, 1.1), description="minimum distance of two particles, in diameters"
    )
    uneven: Share = Field(0.3, description="share of the micrographs whose particles gather in places")
    oriented: Share = Field(0.2, description="share of the micrographs with a preferred orientation")
    strength: PositiveRange = Field((0.75, 1.2), description="contrast of a particle relative to its kind's")

    # microscope
    voltages_kv: tuple[Positive, ...] = Field((200, 300), min_length=1, description="kV; values to draw from")
    spherical_aberrations_mm: tuple[Annotated[float, Field(ge=0)], ...] = Field(
        (0.01, 1.4, 2.7), min_length=1, description="mm; values to draw from"
    )
    amplitude_contrast: ShareRange = Field((0.07, 0.12), description="fraction")
    defocus_angstrom: PositiveRange = Field((6000, 34000), description="Å, underfocus positive")
    astigmatism_angstrom: Range = Field((0, 800), description="Å; difference of the two defoci")
    phase_plate: Share = Field(0.04, description="share of the micrographs with a phase plate (30° to 120°)")

    # noise
    snr: PositiveRange = Field(
        (0.12, 3),
        description="var(clean) / var(noise) over the disc of a particle at the nominal pixel size, log-uniform",
    )
    coloured_share: ShareRange = Field((0, 0.2), description="share of the noise's variance that falls with frequency")
    coloured_length_diameters: PositiveRange = Field(
        (0.3, 2.5), description="length from which that part falls, in diameters"
    )
    falloff_px: Range = Field((0, 1.4), description="pixels; where the detector leaves 1/e of the noise's power")
    solvent: Range = Field((0, 0.2), description="particles; standard deviation of the grain of the ice")
    gradient: Range = Field((0, 0.4), description="particles; standard deviation of the slow change by uneven ice")
    gradient_diameters: PositiveRange = Field((8, 50), description="shortest wave of that change, in diameters")

    # scenery
    film: Share = Field(0.25, description="share of the micrographs with the edge of a carbon or gold film")
    gold_film: Share = Field(0.25, description="share of the films that are gold")
    film_particles: Share = Field(0.3, description="share of the carbon films on which particles lie too")
    crystals: Counts = Field((0, 3), description="ice crystals per micrograph that has contaminants")
    beads: Counts = Field((0, 5), description="round beads per micrograph that has contaminants")
    patches: Counts = Field((0, 6), description="thin patches of any outline per micrograph that has contaminants")
    contaminated: Share = Field(0.5, description="share of the micrographs with contaminants")
    contaminant_diameters: PositiveRange = Field(
        (0.4, 8), description="extent of contaminants, in diameters, log-uniform"
    )
    gold: Share = Field(0.06, description="share of the micrographs with gold beads")
    crystalline: Share = Field(
        0.07, description="share of the micrographs with crystalline ice, which have no particles"
    )
    clumps: Share = Field(0.25, description="share of the micrographs with clumps of particles or of denatured protein")
    broken: Share = Field(0.3, description="share of the micrographs with fragments of particles")

    # files
    lowpass: Share = Field(0.35, description="share of the files with a low pass")
    lowpass_px: Range = Field((0.4, 2.2), description="pixels; standard deviation of the low pass")
    denoised: Share = Field(0.3, description="share of the files that a denoiser changed")
    local_contrast: Share = Field(0.2, description="share of the files with local contrast")
    illumination: Share = Field(0.25, description="share of the files with uneven illumination")
    border: Share = Field(0.12, description="share of the files with a dark, grey or streaked border")
    eight_bit: Share = Field(0.4, description="share of the files with 256 grey levels")
