"""Patches of pure noise for denoisers, from where a probability map calls background, and their power spectrum.

A periodogram of a patch leaks: what is strong at low frequency, as noise of ice is, spreads over all others, since the
patch does not continue periodically. A Hann window ends that, and costs the two lowest shells: its width and the mean
that is subtracted take power from them, so spectra begin at shell 2.

Source: Harris 1978, Proc. IEEE 66:51 (windows); Welch 1967, IEEE Trans. Audio Electroacoust. 15:70 (averaging).
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy.fft
from scipy import ndimage

from crisp_core.geometry import Shape, angstrom_to_px
from crisp_core.seeds import named_rng

# What the window and the mean leave of the lowest shells is not the noise's power.
FIRST_SHELL = 2
# Places that are tried for each patch; more find hardly any more room, and take time.
TRIES = 100
# The pooled spectrum's name among the micrographs.
POOLED = "all"


class NoisePatches(NamedTuple):
    """Patches of one micrograph, the first pixel (x, y) of each, and the share of the micrograph that is background."""

    stack: np.ndarray  # (n, side, side) float32, as in the micrograph
    corners: np.ndarray  # (n, 2) int
    background_share: float


def find_background(
    probability: np.ndarray,
    valid: np.ndarray,
    *,
    threshold: float,
    margin_px: float,
    classes: np.ndarray | None = None,
) -> np.ndarray:
    """Pixels that a map calls background, away from all others.

    Parameters
    ----------
    probability, valid : (h, w) arrays
        Of a particle; what counts.
    threshold : float
        Probability from which on a pixel is particle.
    margin_px : float
        Least distance from particle and masked area; the edge of the image is none.
    classes : (h, w) array, optional
        Label that the network gives each pixel; anything but 0 is not background either.

    Returns
    -------
    (h, w) bool array
    """
    blocked = (probability >= threshold) | ~valid.astype(bool)
    if classes is not None:
        blocked |= classes != 0
    if not blocked.any():
        return np.ones(blocked.shape, dtype=bool)
    return ~blocked & (ndimage.distance_transform_edt(~blocked) > margin_px)


def find_free_corners(free: np.ndarray, full_shape: Shape, *, side_px: int) -> np.ndarray:
    """First pixels (x, y) of patches that lie on free area, (n, 2) int, one per pixel of the coarser grid.

    Parameters
    ----------
    free : (h, w) bool array
        On any grid over the micrograph, not finer than its own.
    full_shape : (int, int)
        Of the micrograph.
    side_px : int
        Of a patch, in pixels of the micrograph.
    """
    scale = np.array(full_shape) / free.shape
    # A patch touches at most so many pixels of the grid, wherever it begins.
    rows, columns = np.minimum(np.floor(side_px / scale).astype(int) + 2, free.shape)
    sums = np.pad(np.cumsum(np.cumsum(~free, axis=0, dtype=np.int64), axis=1), ((1, 0), (1, 0)))
    blocked = sums[rows:, columns:] - sums[:-rows, columns:] - sums[rows:, :-columns] + sums[:-rows, :-columns]
    y, x = np.ceil(np.argwhere(blocked == 0) * scale).astype(int).T
    inside = (x + side_px <= full_shape[1]) & (y + side_px <= full_shape[0])
    return np.column_stack([x, y])[inside]


def choose_corners(
    corners: np.ndarray, n: int, *, side_px: int, overlap: float, rng: np.random.Generator
) -> np.ndarray:
    """Up to `n` of the corners (m, 2), drawn so that no two patches share more than `overlap` of their area."""
    left = corners[rng.permutation(len(corners))[: n * TRIES]]
    taken: list[np.ndarray] = []
    while len(left) and len(taken) < n:
        taken.append(left[0])
        shared = np.clip(side_px - np.abs(left - left[0]), 0, None).prod(axis=1) / side_px**2
        # its own patch shares all
        left = left[(shared <= overlap) & (np.arange(len(left)) > 0)]
    return np.array(taken, dtype=int).reshape(-1, 2)


def sample_noise(
    image: np.ndarray,
    probability: np.ndarray,
    valid: np.ndarray,
    *,
    name: str,
    pixel_size: float,
    side_px: int,
    patches_per_micrograph: int,
    threshold: float,
    margin_angstrom: float,
    overlap: float,
    seed: int,
    classes: np.ndarray | None = None,
) -> NoisePatches:
    """Patches of one micrograph at random places of its background.

    Parameters
    ----------
    image : (h, w) array
        Micrograph at full resolution.
    probability, valid, classes : arrays of one shape
        As in `find_background`, on the network's grid.
    name : str
        Micrograph; with `seed` it determines the places.
    pixel_size : float
        Å/px of the network's grid.
    side_px, patches_per_micrograph, threshold, margin_angstrom, overlap
        The config's section `noise`.
    seed : int
    """
    margin_px = angstrom_to_px(margin_angstrom, pixel_size)
    free = find_background(probability, valid, threshold=threshold, margin_px=margin_px, classes=classes)
    rng = named_rng(seed, name, "noise patches")
    corners = find_free_corners(free, image.shape, side_px=side_px)
    corners = choose_corners(corners, patches_per_micrograph, side_px=side_px, overlap=overlap, rng=rng)
    patches = [image[y : y + side_px, x : x + side_px] for x, y in corners]
    stack = np.array(patches, dtype=np.float32).reshape(-1, side_px, side_px)
    return NoisePatches(stack, corners, float(free.mean()))


def power_spectrum(stack: np.ndarray) -> np.ndarray:
    """Mean radial power spectrum of patches (n, side, side), (side // 2 + 1 - FIRST_SHELL,), n at least 1.

    Of every patch its mean under the window is subtracted, so that no brightness leaks. White noise of variance v has v
    at every frequency. Shell i, from `FIRST_SHELL` to Nyquist, is the frequency i / (side · pixel size).
    """
    side = stack.shape[-1]
    hann = np.sin(np.pi * np.arange(side) / side) ** 2
    window = hann[:, None] * hann
    shells = np.rint(np.hypot(*np.meshgrid(*[scipy.fft.fftfreq(side, 1 / side)] * 2))).astype(int).ravel()
    power = np.zeros((side, side))
    for patch in stack.astype(float):
        level = np.sum(window * patch) / np.sum(window)
        power += np.abs(scipy.fft.fft2(window * (patch - level))) ** 2
    power /= len(stack) * np.sum(window**2)
    summed = np.bincount(shells, power.ravel()) / np.bincount(shells)
    return summed[FIRST_SHELL : side // 2 + 1]


def patches_table(name: str, patches: NoisePatches, *, stack: str, first: int) -> pd.DataFrame:
    """Where the patches of a micrograph came from.

    Parameters
    ----------
    name : str
        Micrograph.
    patches : NoisePatches
    stack : str
        File that they are written to.
    first : int
        Images in it before them.

    Returns
    -------
    DataFrame
        Columns image (`000001@stack`), micrograph, x, y (the patch's first pixel on the micrograph), mean and sd of
        its pixels.
    """
    n = len(patches.stack)
    pixels = patches.stack.reshape(n, patches.stack.shape[-1] ** 2).astype(float)
    return pd.DataFrame(
        {
            "image": [f"{i:06d}@{stack}" for i in range(first + 1, first + n + 1)],
            "micrograph": pd.Series([name] * n, dtype="str"),
            "x": patches.corners[:, 0],
            "y": patches.corners[:, 1],
            "mean": pixels.mean(axis=1),
            "sd": pixels.std(axis=1),
        }
    )


def spectra_table(spectra: Mapping[str, tuple[int, np.ndarray]], *, side_px: int, pixel_size: float) -> pd.DataFrame:
    """Spectra of micrographs as a table.

    Parameters
    ----------
    spectra : mapping of micrograph to (number of patches, spectrum)
        Of `power_spectrum`.
    side_px : int
        Of the patches.
    pixel_size : float
        Å/px of the patches.

    Returns
    -------
    DataFrame
        Columns micrograph, n_patches, frequency (1/Å), power; no row without any patch.
    """
    frequency = np.arange(FIRST_SHELL, side_px // 2 + 1) / (side_px * pixel_size)
    tables = [pd.DataFrame(columns=["micrograph", "n_patches", "frequency", "power"])]
    tables += [
        pd.DataFrame({"micrograph": name, "n_patches": n, "frequency": frequency, "power": power})
        for name, (n, power) in spectra.items()
    ]
    return pd.concat(tables[1:] or tables, ignore_index=True)


def add_pooled_spectrum(spectra: pd.DataFrame) -> pd.DataFrame:
    """Spectra of micrographs, and of all their patches together, under the name `POOLED`; see `spectra_table`."""
    if spectra.empty:
        return spectra
    total = spectra.assign(power=spectra["n_patches"] * spectra["power"])
    pooled = total.groupby("frequency", as_index=False)[["n_patches", "power"]].sum()
    pooled["power"] /= pooled["n_patches"]
    return pd.concat([spectra, pooled.assign(micrograph=POOLED)[list(spectra)]], ignore_index=True)
