"""Ranges from which a zoo draws every micrograph: the config's section `simulation/zoo`."""

from typing import Annotated

from pydantic import AfterValidator, Field

from crisp_core.sections import Natural, NonNegative, Positive, Section, Share, UserPath, mistake


def _rising(bounds: list[float]) -> list[float]:
    if bounds[0] > bounds[1]:
        raise mistake(f"the minimum, {bounds[0]:g}, is larger than the maximum, {bounds[1]:g}; swap them")
    return bounds


TWO = Field(min_length=2, max_length=2)
Range = Annotated[list[NonNegative], TWO, AfterValidator(_rising)]
PositiveRange = Annotated[list[Positive], TWO, AfterValidator(_rising)]
ShareRange = Annotated[list[Share], TWO, AfterValidator(_rising)]
Counts = Annotated[list[Natural], TWO, AfterValidator(_rising)]


class ZooSettings(Section):
    """Micrographs of many kinds of particles, each drawn from ranges; a pair is the minimum and the maximum.

    A length in diameters is one in nominal diameters of the dataset, and a pixel one of the nominal pixel size. Amounts
    of matter are in particles: 1 is the mean projected density of a particle over its disc.
    """

    # volumes
    exclude: list[Annotated[str, Field(min_length=1)]] = []
    """Volumes that are left out: names, or parts of the names of leak groups in the table."""

    table: UserPath | None = None
    """Table of the volumes, tab-separated: columns id, membrane (yes or empty), and
    keep_out_of_training_when_testing_on, the leak group. Null is no membrane protein and no leak group."""

    shells: Share = 0.08
    """Share of the micrographs with a random hollow shell as the particle."""

    blobs: Share = 0.08
    """Share of the micrographs with a random lumpy shape as the particle."""

    mixed: Share = 0.12
    """Share of the micrographs with a second kind of particle."""

    extent_spread: Share = 0.2
    """The longest extent is the nominal diameter ± this share."""

    micelle_angstrom: PositiveRange = [15.0, 30.0]
    """Thickness of the detergent around membrane proteins (Å)."""

    micelle_density: Range = [0.35, 0.9]
    """Density of the detergent, relative to the protein."""

    # particles
    empty: Share = 0.12
    """Share of the micrographs without particles."""

    coverage: PositiveRange = [0.05, 0.5]
    """Share of the area that the particles' discs cover, log-uniform."""

    distance_diameters: PositiveRange = [0.55, 1.1]
    """Minimum distance of two particles, in diameters."""

    uneven: Share = 0.3
    """Share of the micrographs whose particles gather in places."""

    oriented: Share = 0.2
    """Share of the micrographs with a preferred orientation."""

    strength: PositiveRange = [0.75, 1.2]
    """Contrast of a particle relative to its kind's."""

    # microscope
    voltages_kv: Annotated[list[Positive], Field(min_length=1)] = [200.0, 300.0]
    """Voltages to draw from (kV)."""

    spherical_aberrations_mm: Annotated[list[NonNegative], Field(min_length=1)] = [0.01, 1.4, 2.7]
    """Spherical aberrations to draw from (mm)."""

    amplitude_contrast: ShareRange = [0.07, 0.12]
    """Amplitude contrast."""

    defocus_angstrom: PositiveRange = [6000.0, 34000.0]
    """Defocus (Å), underfocus positive."""

    astigmatism_angstrom: Range = [0.0, 800.0]
    """Difference of the two defoci (Å)."""

    phase_plate: Share = 0.04
    """Share of the micrographs with a phase plate (30° to 120°)."""

    # noise
    snr: PositiveRange = [0.12, 3.0]
    """Ratio var(clean) / var(noise) over the disc of a particle at the nominal pixel size, log-uniform."""

    coloured_share: ShareRange = [0.0, 0.2]
    """Share of the noise's variance that falls with frequency."""

    coloured_length_diameters: PositiveRange = [0.3, 2.5]
    """Length from which that part falls, in diameters."""

    falloff_px: Range = [0.0, 1.4]
    """Wavelength (px) at which the detector leaves 1/e of the noise's power."""

    solvent: Range = [0.0, 0.2]
    """Standard deviation of the grain of the ice, in particles."""

    gradient: Range = [0.0, 0.4]
    """Standard deviation of the slow change by uneven ice, in particles."""

    gradient_diameters: PositiveRange = [8.0, 50.0]
    """Shortest wave of that change, in diameters."""

    # scenery
    film: Share = 0.25
    """Share of the micrographs with the edge of a carbon or gold film."""

    gold_film: Share = 0.25
    """Share of the films that are gold."""

    film_particles: Share = 0.3
    """Share of the carbon films on which particles lie too."""

    crystals: Counts = [0, 3]
    """Ice crystals per micrograph that has contaminants."""

    beads: Counts = [0, 5]
    """Round beads per micrograph that has contaminants."""

    patches: Counts = [0, 6]
    """Thin patches of any outline per micrograph that has contaminants."""

    contaminated: Share = 0.5
    """Share of the micrographs with contaminants."""

    contaminant_diameters: PositiveRange = [0.4, 8.0]
    """Extent of contaminants, in diameters, log-uniform."""

    gold: Share = 0.06
    """Share of the micrographs with gold beads."""

    crystalline: Share = 0.07
    """Share of the micrographs with crystalline ice, which have no particles."""

    clumps: Share = 0.25
    """Share of the micrographs with clumps of particles or of denatured protein."""

    broken: Share = 0.3
    """Share of the micrographs with fragments of particles."""

    # files
    lowpass: Share = 0.35
    """Share of the files with a low pass."""

    lowpass_px: Range = [0.4, 2.2]
    """Standard deviation of the low pass (px)."""

    denoised: Share = 0.3
    """Share of the files that a denoiser changed."""

    local_contrast: Share = 0.2
    """Share of the files with local contrast."""

    illumination: Share = 0.25
    """Share of the files with uneven illumination."""

    border: Share = 0.12
    """Share of the files with a dark, grey or streaked border."""

    eight_bit: Share = 0.4
    """Share of the files with 256 grey levels."""
