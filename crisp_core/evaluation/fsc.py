"""Resolution of a map from its two halves: Fourier shell correlation, what the mask adds to it, and where it ends.

Shells, the frequency from which phases are randomised and the correction are those of RELION's postprocessing, so that
the same half maps and the same mask give the same curves.

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
# Phases are randomised from where the unmasked curve falls below this.
RANDOMISED_BELOW = 0.8
# The correction begins so many shells later, beyond the artefacts at the step to random phases.
UNCORRECTED_SHELLS = 2
# Extension and soft edge of a mask, in voxels: a tighter one mixes shells, and the correction then takes signal away.
EXTEND_PX, EDGE_PX = 3, 6


def shell_numbers(n: int) -> np.ndarray:
    """Nearest shell of each element of `rfftn`'s half space of an n³ map, (n, n, n // 2 + 1) int."""
    full, half = scipy.fft.fftfreq(n, 1 / n), scipy.fft.rfftfreq(n, 1 / n)
    return np.floor(np.sqrt(full[:, None, None] ** 2 + full[:, None] ** 2 + half**2) + 0.5).astype(int)


def shell_correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Fourier shell correlation of two transforms on `rfftn`'s half space, (n // 2 + 1,), shells 0 to Nyquist.

    As in RELION, each element of the half space counts once. A shell without power has 0.
    """
    n = len(first)
    shells = shell_numbers(n).ravel()

    def summed(values: np.ndarray) -> np.ndarray:
        return np.bincount(shells, values.ravel(), minlength=n // 2 + 1)[: n // 2 + 1]

    shared = summed((first * second.conj()).real)
    power = np.sqrt(summed(np.abs(first) ** 2) * summed(np.abs(second) ** 2))
    return np.divide(shared, power, out=np.zeros_like(shared), where=power > 0)


def fourier_transform(volume: np.ndarray) -> np.ndarray:
    """Transform of a map (n, n, n) on `rfftn`'s half space, complex128."""
    return scipy.fft.rfftn(volume.astype(float), workers=FFT_THREADS)


def fourier_shell_correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Fourier shell correlation of two maps (n, n, n), (n // 2 + 1,): shell i is the frequency i / (n pixel_size)."""
    return shell_correlation(fourier_transform(first), fourier_transform(second))


def random_phases(n: int, rng: np.random.Generator) -> np.ndarray:
    """Phases of white noise on `rfftn`'s half space of an n³ map: uniform, and those of a real map."""
    return np.angle(fourier_transform(rng.standard_normal((n, n, n))))


def randomise_phases(volume: np.ndarray, phases: np.ndarray, *, from_shell: int) -> np.ndarray:
    """Map (n, n, n) whose amplitudes are kept, and whose phases at and beyond a frequency are the given ones.

    Parameters
    ----------
    volume : (n, n, n) array
    phases : (n, n, n // 2 + 1) array
        Radians, on `rfftn`'s half space.
    from_shell : int
        Frequency in cycles per box.
    """
    n = len(volume)
    full, half = scipy.fft.fftfreq(n, 1 / n), scipy.fft.rfftfreq(n, 1 / n)
    beyond = full[:, None, None] ** 2 + full[:, None] ** 2 + half**2 >= from_shell**2
    spectrum = fourier_transform(volume)
    spectrum[beyond] = np.abs(spectrum[beyond]) * np.exp(1j * phases[beyond])
    return scipy.fft.irfftn(spectrum, s=volume.shape, workers=FFT_THREADS)


def correct_correlation(masked: np.ndarray, randomised: np.ndarray, *, from_shell: int) -> np.ndarray:
    """Take from a masked curve what the mask alone adds: (masked − randomised) / (1 − randomised).

    Parameters
    ----------
    masked, randomised : (m,) arrays
        FSC of the masked half maps, and of them with random phases beyond a frequency, masked alike.
    from_shell : int
        That frequency's shell. Up to `UNCORRECTED_SHELLS` beyond it the masked curve stays.
    """
    corrected = np.divide(masked - randomised, 1 - randomised, out=np.zeros_like(masked), where=randomised < 1)
    return np.where(np.arange(len(masked)) < from_shell + UNCORRECTED_SHELLS, masked, corrected)


def first_shell_below(curve: np.ndarray, level: float) -> int | None:
    """First shell, 0 left out, at which a curve is below a level; None if it never is."""
    below = np.flatnonzero(curve[1:] < level)
    return int(below[0]) + 1 if below.size else None


def half_map_curves(
    first: np.ndarray, second: np.ndarray, mask: np.ndarray, *, pixel_size: float, phases: tuple[np.ndarray, np.ndarray]
) -> pd.DataFrame:
    """All curves of two half maps.

    Parameters
    ----------
    first, second : (n, n, n) arrays
    mask : (n, n, n) array
        0 to 1, see `soft_mask`.
    pixel_size : float
        Å per voxel.
    phases : two (n, n, n // 2 + 1) arrays
        Of the two maps, from `random_phases`.

    Returns
    -------
    DataFrame
        Columns shell, frequency (1/Å), unmasked, masked, randomised and corrected. Where the unmasked curve never
        falls below `RANDOMISED_BELOW`, randomised is NaN and corrected is masked.
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
    """Resolution in Å: where a curve first falls below a level, by a straight line between its shells.

    Parameters
    ----------
    frequency : (m,) array
        1/Å, from 0.
    curve : (m,) array
        FSC. If it stays above the level, the result is that of the last shell: the pixels end there and not the
        signal.
    level : float
    """
    shell = first_shell_below(curve, level)
    if shell is None:
        return float(1 / frequency[-1])
    above, below = curve[shell - 1], curve[shell]
    # shell 0, which is no resolution, may already be below
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
    """Mask of a map: its largest part above a threshold, extended, with a soft edge.

    Parameters
    ----------
    volume : (n, n, n) array
        Protein positive.
    pixel_size : float
        Å per voxel.
    lowpass_angstrom : float
        The map's amplitudes are halved there, before the threshold; 0 is off.
    threshold : float or None
        Density; None takes Otsu's.
    extend_angstrom, edge_angstrom : float or None
        How far the mask stays 1 beyond that part, and over which distance it then falls to 0, as a raised cosine; None
        takes `EXTEND_PX` and `EDGE_PX`, as RELION's postprocessing does.

    Returns
    -------
    (n, n, n) float32 array, 0 to 1

    Raises
    ------
    UserError
        If no voxel is above the threshold, or all are.
    """
    smooth = low_pass_volume(volume, pixel_size, lowpass_angstrom)
    level = float(threshold_otsu(smooth)) if threshold is None else threshold
    parts, n_parts = scipy.ndimage.label(smooth > level)
    if n_parts == 0 or parts.all():
        raise UserError(
            f"resolution/mask_threshold: {'every' if n_parts else 'no'} voxel of the map is above {level:.3g}, "
            f"its densities go from {smooth.min():.3g} to {smooth.max():.3g}; give another, or a mask"
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
    """Resolution of every set and seed, then a row mean and a row sd of each set over its seeds.

    Parameters
    ----------
    curves : DataFrame
        set, seed, and columns of `half_map_curves`.
    sets : DataFrame
        set, seed, n_particles, false_share.

    Returns
    -------
    DataFrame
        Those columns, resolution_angstrom (of the corrected curve), masked_angstrom, unmasked_angstrom, and
        at_nyquist: 1 where the corrected curve stays above the level, so that the pixels end the resolution.
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
