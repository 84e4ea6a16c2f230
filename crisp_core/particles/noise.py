"""Noise patches from the predicted background of micrographs, and their power spectrum.

The periodogram of a patch leaks: since a patch is not periodic, strong low frequencies, as in ice, spread over all
other frequencies. A Hann window prevents this. The window and the subtraction of the mean remove power from the two
lowest shells, so that spectra begin at shell 2.

Source: Harris 1978, Proc. IEEE 66:51 (windows); Welch 1967, IEEE Trans. Audio Electroacoust. 15:70 (averaging).
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import scipy.fft
from scipy import ndimage

from crisp_core.formats.arrays import array_names, read_array
from crisp_core.formats.images import read_micrograph
from crisp_core.geometry import Shape, angstrom_to_px
from crisp_core.seeds import named_rng

# First shell of a spectrum: window and mean remove power from lower shells.
FIRST_SHELL = 2
# Maximum number of positions that are tried per patch; more take time and find hardly any more room.
TRIES = 100
# Name of the pooled spectrum in the column micrograph.
POOLED = "all"


class NoisePatches(NamedTuple):
    """Patches of one micrograph, the first pixel (x, y) of each, and the background's share of the micrograph."""

    stack: np.ndarray  # (n, side, side) float32, grey values of the micrograph
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
    """Return the background of a probability map, without a margin around everything else.

    Parameters
    ----------
    probability : (h, w) array
        Probability of the particle class.
    valid : (h, w) array
        True on valid area.
    threshold : float
        Minimum probability of a particle pixel.
    margin_px : float
        Minimum distance from particles and masked area; the edge of the image needs no distance.
    classes : (h, w) array, optional
        Predicted class of each pixel; only class 0 is background.

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
    """Find the first pixels (x, y) of all patches on free area, (n, 2) int, one per pixel of the coarser grid.

    Parameters
    ----------
    free : (h, w) bool array
        Free area of the micrograph, at the same or a coarser pixel size.
    full_shape : (int, int)
        Shape of the micrograph.
    side_px : int
        Side of a patch in px of the micrograph.
    """
    scale = np.array(full_shape) / free.shape
    # Maximum number of grid pixels that a patch touches.
    rows, columns = np.minimum(np.floor(side_px / scale).astype(int) + 2, free.shape)
    sums = np.pad(np.cumsum(np.cumsum(~free, axis=0, dtype=np.int64), axis=1), ((1, 0), (1, 0)))
    blocked = sums[rows:, columns:] - sums[:-rows, columns:] - sums[rows:, :-columns] + sums[:-rows, :-columns]
    y, x = np.ceil(np.argwhere(blocked == 0) * scale).astype(int).T
    inside = (x + side_px <= full_shape[1]) & (y + side_px <= full_shape[0])
    return np.column_stack([x, y])[inside]


def choose_corners(
    corners: np.ndarray, n: int, *, side_px: int, overlap: float, rng: np.random.Generator
) -> np.ndarray:
    """Draw up to `n` corners such that no two patches overlap too much.

    Parameters
    ----------
    corners : (m, 2) int array
        First pixels (x, y) of all possible patches.
    n : int
        Maximum number of patches.
    side_px : int
        Side of a patch in px.
    overlap : float
        Maximum share of its area that a patch has in common with another one.
    rng : numpy Generator
        Source of random numbers.

    Returns
    -------
    (k, 2) int array
        Drawn corners.
    """
    left = corners[rng.permutation(len(corners))[: n * TRIES]]
    taken: list[np.ndarray] = []
    while len(left) and len(taken) < n:
        taken.append(left[0])
        shared = np.clip(side_px - np.abs(left - left[0]), 0, None).prod(axis=1) / side_px**2
        # the patch itself is removed from the list
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
    """Cut patches at random positions out of the background of one micrograph.

    Parameters
    ----------
    image : (h, w) array
        Micrograph at full resolution.
    probability, valid, classes : arrays of one shape
        As in `find_background`, on the network's grid.
    name : str
        Micrograph; name and seed determine the positions.
    pixel_size : float
        Pixel size of the network, Å/px.
    side_px, patches_per_micrograph, threshold, margin_angstrom, overlap
        Settings of the section `noise`.
    seed : int
        Seed of the random positions.
    """
    margin_px = angstrom_to_px(margin_angstrom, pixel_size)
    free = find_background(probability, valid, threshold=threshold, margin_px=margin_px, classes=classes)
    rng = named_rng(seed, name, "noise patches")
    corners = find_free_corners(free, image.shape, side_px=side_px)
    corners = choose_corners(corners, patches_per_micrograph, side_px=side_px, overlap=overlap, rng=rng)
    patches = [image[y : y + side_px, x : x + side_px] for x, y in corners]
    stack = np.array(patches, dtype=np.float32).reshape(-1, side_px, side_px)
    return NoisePatches(stack, corners, float(free.mean()))


def sample_noise_of_batch(
    name: str, path: str, probability_path: str, images_path: str, *, pixel_size: float, seed: int, **settings: Any
) -> NoisePatches:
    """Cut patches out of the background of a micrograph of a batch.

    Parameters
    ----------
    name : str
        Micrograph.
    path : str
        File of the micrograph.
    probability_path, images_path : str
        Files of the batch with predicted probabilities, and with prepared images and their valid area.
    pixel_size : float
        Pixel size of the micrograph, Å/px.
    seed : int
        Seed of the random positions.
    **settings
        Settings of the section `noise`, as in `sample_noise`.

    Raises
    ------
    UserError
        If the micrograph cannot be read.
    """
    image = read_micrograph(path, name=name, pixel_size=pixel_size).image
    grid = read_array(probability_path, "probability", name)
    classified = name in array_names(probability_path, "class")
    return sample_noise(
        image,
        grid.data.astype(np.float32),
        read_array(images_path, "valid", name).data,
        name=name,
        pixel_size=grid.pixel_size,
        seed=seed,
        classes=read_array(probability_path, "class", name).data if classified else None,
        **settings,
    )


def power_spectrum(stack: np.ndarray) -> np.ndarray:
    """Return the mean radial power spectrum of at least one patch (n, side, side): (side // 2 + 1 - FIRST_SHELL,).

    The weighted mean of every patch is subtracted, so that brightness does not leak. White noise of variance v has
    power v at every frequency. Shell i, from `FIRST_SHELL` to Nyquist, is the frequency i / (side · pixel size).
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
    """List the patches of a micrograph with their positions.

    Parameters
    ----------
    name : str
        Micrograph.
    patches : NoisePatches
        Patches of the micrograph.
    stack : str
        File with the images of the patches.
    first : int
        Number of images in the file before these patches.

    Returns
    -------
    DataFrame
        Columns image (`000001@stack`), micrograph, x, y (first pixel of the patch), mean and sd of its pixels.
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
    """List the spectra of micrographs.

    Parameters
    ----------
    spectra : mapping of micrograph to (number of patches, spectrum)
        Spectra are results of `power_spectrum`.
    side_px : int
        Side of a patch in px.
    pixel_size : float
        Pixel size of the patches, Å/px.

    Returns
    -------
    DataFrame
        Columns micrograph, n_patches, frequency (1/Å), power; a table without rows if there are no patches.
    """
    frequency = np.arange(FIRST_SHELL, side_px // 2 + 1) / (side_px * pixel_size)
    tables = [pd.DataFrame(columns=["micrograph", "n_patches", "frequency", "power"])]
    tables += [
        pd.DataFrame({"micrograph": name, "n_patches": n, "frequency": frequency, "power": power})
        for name, (n, power) in spectra.items()
    ]
    return pd.concat(tables[1:] or tables, ignore_index=True)


def add_pooled_spectrum(spectra: pd.DataFrame) -> pd.DataFrame:
    """Add the mean spectrum of all patches, under the name `POOLED`, to a result of `spectra_table`."""
    if spectra.empty:
        return spectra
    total = spectra.assign(power=spectra["n_patches"] * spectra["power"])
    pooled = total.groupby("frequency", as_index=False)[["n_patches", "power"]].sum()
    pooled["power"] /= pooled["n_patches"]
    return pd.concat([spectra, pooled.assign(micrograph=POOLED)[list(spectra)]], ignore_index=True)
