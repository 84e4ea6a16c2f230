"""Ranges from which a zoo draws every micrograph: the config's section `simulation/zoo`."""

from typing import Annotated

from pydantic import Field

from crisp_core.sections import (
    AmountBounds,
    CountBounds,
    NonNegative,
    Positive,
    PositiveBounds,
    Section,
    Share,
    ShareBounds,
    UserPath,
)


class ZooSettings(Section):
    """Micrographs of many kinds of particles, each drawn from ranges; a pair is the minimum and the maximum.

    Diameters and pixels are the nominal ones, particle_diameter_angstrom and pixel_size of the dataset. The unit of
    densities is the particle: 1 is the mean projected density of a particle over a disc of its diameter.
    """

    # volumes
    exclude: list[Annotated[str, Field(min_length=1)]] = []
    """Volumes that are left out: names of volumes, or parts of the names of leak groups in `table`.

    Examples
    --------
        - [EMPIAR-10017, 1ql2]
    """

    table: UserPath | None = None
    """Tab-separated table of the volumes with the columns id, membrane (yes or empty), and
    keep_out_of_training_when_testing_on (the leak group). null: no volume is a membrane protein or has a leak group.

    Examples
    --------
        - maps/volumes.tsv
    """

    shells: Share = 0.08
    """Share of the micrographs with a random hollow shell as the particle."""

    blobs: Share = 0.08
    """Share of the micrographs with a random lumpy shape as the particle."""

    mixed: Share = 0.12
    """Share of the micrographs with a second kind of particle."""

    extent_spread: Share = 0.2
    """Spread of the longest extent of a particle: the nominal diameter ± this share."""

    micelle_angstrom: PositiveBounds = [15.0, 30.0]
    """Thickness of the detergent around membrane proteins (Å)."""

    micelle_density: AmountBounds = [0.35, 0.9]
    """Density of the detergent, relative to the protein."""

    # particles
    empty: Share = 0.12
    """Share of the micrographs without particles."""

    coverage: PositiveBounds = [0.05, 0.5]
    """Share of the area that the particles' discs cover, log-uniform."""

    distance_diameters: PositiveBounds = [0.55, 1.1]
    """Range of the minimum distance of two particles, in diameters."""

    uneven: Share = 0.3
    """Share of the micrographs whose particles are crowded in some places."""

    oriented: Share = 0.2
    """Share of the micrographs whose particles have a preferred orientation."""

    strength: PositiveBounds = [0.75, 1.2]
    """Contrast of a particle relative to the mean of its kind."""

    # microscope
    voltages_kv: Annotated[list[Positive], Field(min_length=1)] = [200.0, 300.0]
    """Voltages to draw from (kV)."""

    spherical_aberrations_mm: Annotated[list[NonNegative], Field(min_length=1)] = [0.01, 1.4, 2.7]
    """Spherical aberrations to draw from (mm)."""

    amplitude_contrast: ShareBounds = [0.07, 0.12]
    """Amplitude contrast (fraction)."""

    defocus_angstrom: PositiveBounds = [6000.0, 34000.0]
    """Defocus (Å), underfocus positive."""

    astigmatism_angstrom: AmountBounds = [0.0, 800.0]
    """Difference of the two defoci (Å)."""

    phase_plate: Share = 0.04
    """Share of the micrographs with a phase plate (30° to 120°)."""

    # noise
    snr: PositiveBounds = [0.12, 3.0]
    """Mean square of the clean image over the disc of a particle, divided by var(noise), at the nominal pixel size,
    log-uniform."""

    coloured_share: ShareBounds = [0.0, 0.2]
    """Share of the noise's variance whose power falls with frequency."""

    coloured_length_diameters: PositiveBounds = [0.3, 2.5]
    """Length above which the power of that share is constant, in diameters."""

    falloff_px: AmountBounds = [0.0, 1.4]
    """Wavelength (px) at which 1/e of the noise's power remains behind the detector."""

    solvent: AmountBounds = [0.0, 0.2]
    """Standard deviation of the grain of the ice, in particles."""

    gradient: AmountBounds = [0.0, 0.4]
    """Standard deviation of the slow change of brightness by uneven ice, in particles."""

    gradient_diameters: PositiveBounds = [8.0, 50.0]
    """Shortest wavelength of that change, in diameters."""

    # scenery
    film: Share = 0.25
    """Share of the micrographs with the edge of a carbon or gold film."""

    gold_film: Share = 0.25
    """Share of these films that are gold."""

    film_particles: Share = 0.3
    """Share of the carbon films that also have particles on them."""

    crystals: CountBounds = [0, 3]
    """Number of ice crystals on a micrograph with contaminants."""

    beads: CountBounds = [0, 5]
    """Number of round beads on a micrograph with contaminants."""

    patches: CountBounds = [0, 6]
    """Number of thin patches of irregular outline on a micrograph with contaminants."""

    contaminated: Share = 0.5
    """Share of the micrographs with contaminants."""

    contaminant_diameters: PositiveBounds = [0.4, 8.0]
    """Extent of a contaminant, in diameters, log-uniform."""

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
    """Share of the files that are low-passed."""

    lowpass_px: AmountBounds = [0.4, 2.2]
    """Standard deviation of the Gaussian of the low pass (px)."""

    denoised: Share = 0.3
    """Share of the files that are denoised."""

    local_contrast: Share = 0.2
    """Share of the files whose contrast is normalised locally."""

    illumination: Share = 0.25
    """Share of the files with uneven illumination."""

    border: Share = 0.12
    """Share of the files with a dark, grey or streaked border."""

    eight_bit: Share = 0.4
    """Share of the files with 256 grey levels."""

    coarse: Share = 0.0
    """Share of the files with larger pixels than the nominal ones, which are enlarged to them."""

    coarse_factor: PositiveBounds = [1.1, 2.0]
    """Å/px of such a file, relative to the nominal one."""
