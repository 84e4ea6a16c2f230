"""Resolution of a map from its half maps: Fourier shell correlation (FSC), corrected for the effect of the mask.

Shells, randomisation of phases and correction are those of RELION's postprocessing: equal half maps and masks give
equal curves.

Source: Chen et al. 2013, Ultramicroscopy 135:24 (phase-randomised correction); Rosenthal & Henderson 2003, J. Mol.
Biol. 333:721 (0.143); RELION 3.1 source, `fftw.cpp` and `postprocessing.cpp`.
"""

import numpy as np
import pandas as pd
import scipy.fft
import scipy.ndimage
from skimage.filters import threshold_otsu

from crisp_core.errors import UserError
from crisp_core.geometry import FFT_THREADS
from crisp_core.simulation.volumes import low_pass_volume

RESOLUTION_LEVEL = 0.143
# Phases are randomised from the first shell at which the unmasked curve is below this value.
RANDOMISED_BELOW = 0.8
# Number of shells between the first random phases, which cause artefacts, and the first corrected value.
UNCORRECTED_SHELLS = 2
# Extension and soft edge of a mask, in voxels. A tighter mask mixes shells, and the correction then removes signal.
EXTEND_PX, EDGE_PX = 3, 6


def shell_numbers(n: int) -> np.ndarray:
    """Return the closest shell of each element of the half space of `rfftn` for n³ voxels, (n, n, n // 2 + 1) int."""
    full, half = scipy.fft.fftfreq(n, 1 / n), scipy.fft.rfftfreq(n, 1 / n)
    return np.floor(np.sqrt(full[:, None, None] ** 2 + full[:, None] ** 2 + half**2) + 0.5).astype(int)


def shell_correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the FSC of two transforms on the half space of `rfftn`, (n // 2 + 1,), shells 0 to Nyquist.

    As in RELION, each element of the half space has weight 1. A shell without power has the value 0.
    """
    n = len(first)
    shells = shell_numbers(n).ravel()

    def summed(values: np.ndarray) -> np.ndarray:
        """Sum of the values in every shell."""
        return np.bincount(shells, values.ravel(), minlength=n // 2 + 1)[: n // 2 + 1]

    shared = summed((first * second.conj()).real)
    power = np.sqrt(summed(np.abs(first) ** 2) * summed(np.abs(second) ** 2))
    return np.divide(shared, power, out=np.zeros_like(shared), where=power > 0)


def fourier_transform(volume: np.ndarray) -> np.ndarray:
    """Return the Fourier transform of a map (n, n, n) on the half space of `rfftn`, complex128."""
    return scipy.fft.rfftn(volume.astype(float), workers=FFT_THREADS)


def fourier_shell_correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the FSC of two maps (n, n, n), (n // 2 + 1,); shell i is the frequency i / (n pixel_size)."""
    return shell_correlation(fourier_transform(first), fourier_transform(second))


def random_phases(n: int, rng: np.random.Generator) -> np.ndarray:
    """Return the phases of a white-noise map of n³ voxels on the half space of `rfftn`."""
    return np.angle(fourier_transform(rng.standard_normal((n, n, n))))


def randomise_phases(volume: np.ndarray, phases: np.ndarray, *, from_shell: int) -> np.ndarray:
    """Replace the phases of a map at and beyond a frequency, and keep the amplitudes.

    Parameters
    ----------
    volume : (n, n, n) array
        Map.
    phases : (n, n, n // 2 + 1) array
        New phases in radians, on the half space of `rfftn`.
    from_shell : int
        First frequency with new phases, in cycles per box.
    """
    n = len(volume)
    full, half = scipy.fft.fftfreq(n, 1 / n), scipy.fft.rfftfreq(n, 1 / n)
    beyond = full[:, None, None] ** 2 + full[:, None] ** 2 + half**2 >= from_shell**2
    spectrum = fourier_transform(volume)
    spectrum[beyond] = np.abs(spectrum[beyond]) * np.exp(1j * phases[beyond])
    return scipy.fft.irfftn(spectrum, s=volume.shape, workers=FFT_THREADS)


def correct_correlation(masked: np.ndarray, randomised: np.ndarray, *, from_shell: int) -> np.ndarray:
    """Correct a masked curve for the effect of the mask: (masked − randomised) / (1 − randomised).

    Parameters
    ----------
    masked, randomised : (m,) arrays
        FSC of the masked half maps, without and with random phases beyond a frequency.
    from_shell : int
        First shell with random phases. The correction begins `UNCORRECTED_SHELLS` shells later.
    """
    corrected = np.divide(masked - randomised, 1 - randomised, out=np.zeros_like(masked), where=randomised < 1)
    return np.where(np.arange(len(masked)) < from_shell + UNCORRECTED_SHELLS, masked, corrected)


def first_shell_below(curve: np.ndarray, level: float) -> int | None:
    """Return the first shell above 0 at which a curve is below a level, None if there is none."""
    below = np.flatnonzero(curve[1:] < level)
    return int(below[0]) + 1 if below.size else None


def half_map_curves(
    first: np.ndarray, second: np.ndarray, mask: np.ndarray, *, pixel_size: float, phases: tuple[np.ndarray, np.ndarray]
) -> pd.DataFrame:
    """Compute all curves of two half maps.

    Parameters
    ----------
    first, second : (n, n, n) arrays
        Half maps.
    mask : (n, n, n) array
        Mask from 0 to 1, see `soft_mask`.
    pixel_size : float
        Pixel size of the maps, Å per voxel.
    phases : two (n, n, n // 2 + 1) arrays
        Results of `random_phases`, one for each map.

    Returns
    -------
    DataFrame
        Columns shell, frequency (1/Å), unmasked, masked, randomised and corrected. If the unmasked curve never falls
        below `RANDOMISED_BELOW`, randomised is NaN and corrected equals masked.
    """
    unmasked = fourier_shell_correlation(first, second)
    masked = fourier_shell_correlation(first * mask, second * mask)
    from_shell = first_shell_below(unmasked, RANDOMISED_BELOW)
    if from_shell is None:
        randomised, corrected = np.full_like(masked, np.nan), masked
    else:
        maps = zip((first, second), phases, strict=True)
        blurred = [randomise_phases(volume, own, from_shell=from_shell) * mask for volume, own in maps]
        randomised = fourier_shell_correlation(*blurred)
        corrected = correct_correlation(masked, randomised, from_shell=from_shell)
    shell = np.arange(len(unmasked))
    curves = {"unmasked": unmasked, "masked": masked, "randomised": randomised, "corrected": corrected}
    return pd.DataFrame({"shell": shell, "frequency": shell / (len(first) * pixel_size), **curves})


def resolution_angstrom(frequency: np.ndarray, curve: np.ndarray, *, level: float = RESOLUTION_LEVEL) -> float:
    """Return the resolution in Å at which a curve first falls below a level, with linear interpolation.

    Parameters
    ----------
    frequency : (m,) array
        Frequencies of the shells, 1/Å, from 0.
    curve : (m,) array
        FSC. If it never falls below the level, the result is the resolution of the last shell: the limit is the pixel
        size and not the signal.
    level : float
        Minimum FSC of a resolved shell.
    """
    shell = first_shell_below(curve, level)
    if shell is None:
        return float(1 / frequency[-1])
    above, below = curve[shell - 1], curve[shell]
    # the curve may already be below the level in shell 0, which has no resolution
    share = (above - level) / (above - below) if above >= level else 1.0
    return float(1 / (frequency[shell - 1] + share * (frequency[shell] - frequency[shell - 1])))


def soft_mask(
    volume: np.ndarray,
    *,
    pixel_size: float,
    lowpass_angstrom: float,
    threshold: float | None,
    extend_angstrom: float | None,
    edge_angstrom: float | None,
) -> np.ndarray:
    """Make a mask of a map: its largest part above a threshold, extended, with a soft edge.

    Parameters
    ----------
    volume : (n, n, n) array
        Map, protein positive.
    pixel_size : float
        Pixel size of the map, Å per voxel.
    lowpass_angstrom : float
        Resolution of the low-pass filter before the threshold, Å; 0 for none.
    threshold : float or None
        Minimum density; None for Otsu's threshold.
    extend_angstrom, edge_angstrom : float or None
        Extension of the mask beyond the part, and width of its soft edge (raised cosine), Å; None for `EXTEND_PX` and
        `EDGE_PX`, as in RELION's postprocessing.

    Returns
    -------
    (n, n, n) float32 array, 0 to 1

    Raises
    ------
    UserError
        If no voxel or every voxel is above the threshold.
    """
    smooth = low_pass_volume(volume, pixel_size, lowpass_angstrom)
    level = float(threshold_otsu(smooth)) if threshold is None else threshold
    parts, n_parts = scipy.ndimage.label(smooth > level)
    if n_parts == 0 or parts.all():
        raise UserError(
            f"resolution/mask_threshold: {'every' if n_parts else 'no'} voxel of the map is above {level:.3g}, "
            f"its densities range from {smooth.min():.3g} to {smooth.max():.3g}; change it or give a mask"
        )
    inside = parts == 1 + np.argmax(np.bincount(parts.ravel())[1:])
    extend_px = EXTEND_PX if extend_angstrom is None else extend_angstrom / pixel_size
    edge_px = EDGE_PX if edge_angstrom is None else edge_angstrom / pixel_size
    extended = scipy.ndimage.distance_transform_edt(~inside) <= extend_px
    if edge_px == 0:
        return extended.astype(np.float32)
    outward = np.clip(scipy.ndimage.distance_transform_edt(~extended) / edge_px, 0, 1)
    return (0.5 + 0.5 * np.cos(np.pi * outward)).astype(np.float32)


def resolution_table(curves: pd.DataFrame, sets: pd.DataFrame) -> pd.DataFrame:
    """Return the resolution of every set and seed, with a row mean and a row sd per set.

    Parameters
    ----------
    curves : DataFrame
        Columns set, seed, and those of `half_map_curves`.
    sets : DataFrame
        Columns set, seed, n_particles, false_share.

    Returns
    -------
    DataFrame
        Columns of `sets`, resolution_angstrom (of the corrected curve), masked_angstrom, unmasked_angstrom, and
        at_nyquist: 1 if the corrected curve never falls below the level, so that the pixel size is the limit.
    """
    rows = []
    for (name, seed), own in curves.groupby(["set", "seed"], sort=False):
        frequency = own["frequency"].to_numpy()
        kinds = {"resolution": "corrected", "masked": "masked", "unmasked": "unmasked"}
        found = {
            f"{kind}_angstrom": resolution_angstrom(frequency, own[column].to_numpy()) for kind, column in kinds.items()
        }
        at_nyquist = first_shell_below(own["corrected"].to_numpy(), RESOLUTION_LEVEL) is None
        rows.append({"set": name, "seed": seed, **found, "at_nyquist": int(at_nyquist)})
    table = sets.merge(pd.DataFrame(rows), on=["set", "seed"], sort=False)
    groups = table.drop(columns="seed").groupby("set", sort=False)
    summaries = [groups.mean().reset_index().assign(seed="mean"), groups.std().reset_index().assign(seed="sd")]
    return pd.concat([table, *summaries], ignore_index=True)[list(table.columns)]
