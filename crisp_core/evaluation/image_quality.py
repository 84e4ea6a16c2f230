"""Measures of a micrograph's image that need no network: ice, contaminants, drift."""

import logging
from pathlib import Path

import numpy as np
import scipy
from scipy import ndimage

from crisp_core.errors import UserError
from crisp_core.formats.images import read_micrograph
from crisp_core.geometry import FFT_THREADS
from crisp_core.robust import robust_sd

log = logging.getLogger("crisp")

# Gaussian filters whose differences are the bands, in particle diameters: the fine band has the particle's outline and
# the noise, the coarse one blotches of a particle's size and more
FINE_BAND_DIAMETERS = (0.06, 0.2)
COARSE_BAND_DIAMETERS = (0.4, 1.6)
GRADIENT_DIAMETERS = 3.0
# dark objects are looked for at this scale
OBJECT_BAND_DIAMETERS = (0.3, 2.0)
# a dark object is so many robust standard deviations below the median: normal noise has one in 1e9 pixels
OBJECT_DEVIATIONS = 6.0
# bands of the power spectrum, in cycles per particle diameter: waves of ice and particles, and the noise of counting
ICE_BAND, NOISE_BAND = (1.5, 3.5), (4.5, 6.0)
# side of the tiles, in particle diameters, and the share of a tile that must be usable
TILE_DIAMETERS, TILE_SHARE_MIN = 5.0, 0.8
# band of the power spectrum whose direction is measured, in cycles/px; coarser waves are those of ice and film
DIRECTION_BAND = (0.1, 0.4)
# an image with a smaller usable share has no measures
USABLE_SHARE_MIN = 0.1
IMAGE_MEASURES = ("ice_gradient", "mottle", "patchiness", "dark_share", "ice_signal", "direction")
# rings of hexagonal and cubic ice (3.90, 3.67 and 3.44 Å) and the bands on both sides, in 1/Å
RING_BAND = (1 / 3.95, 1 / 3.4)
RING_SIDES = ((1 / 4.6, 1 / 4.1), (1 / 3.3, 1 / 3.15))
RING_TILE_PX, RING_TILES_MAX = 512, 64


def image_measures(
    image: np.ndarray, usable: np.ndarray, *, diameter_px: float, particle: np.ndarray
) -> dict[str, float]:
    """Measures of the ice, of contaminants and of drift; NaN where too little of the image is usable.

    Parameters
    ----------
    image : (h, w) array
        Prepared micrograph, in any unit; particles are dark.
    usable : (h, w) bool array
        Valid area.
    diameter_px : float
        Particle diameter in px of the image.
    particle : (h, w) bool array
        Predicted particles, which are not contaminants.

    Returns
    -------
    dict
        ``ice_gradient``: standard deviation after a low pass of three diameters, relative to the fine band's;
        ``mottle``: robust standard deviation of the coarse band relative to the fine band's, large in crystalline ice;
        ``patchiness``: contrast of the coarse band in the 90th percentile of places relative to the 10th;
        ``dark_share``: share of the area in dark objects that are not particles;
        ``ice_signal``: power of the ice band relative to the noise band's, 1 for counting noise (no ice);
        ``direction``: second angular moment of the power spectrum (0 to 1), large with drift and astigmatic blur.
    """
    usable = np.asarray(usable, dtype=bool)
    if usable.mean() < USABLE_SHARE_MIN:
        return dict.fromkeys(IMAGE_MEASURES, np.nan)
    fine = band(image, usable, FINE_BAND_DIAMETERS, diameter_px)
    coarse = band(image, usable, COARSE_BAND_DIAMETERS, diameter_px)
    slow = lowpass(image, usable, GRADIENT_DIAMETERS * diameter_px)
    smooth = lowpass(image, usable, COARSE_BAND_DIAMETERS[0] * diameter_px)
    return {
        "ice_gradient": float(slow[usable].std()) / max(float(fine[usable].std()), 1e-6),
        "mottle": robust_sd(coarse[usable]) / max(robust_sd(fine[usable]), 1e-6),
        "patchiness": patchiness(coarse, usable, diameter_px),
        "dark_share": dark_share(image, usable, particle, diameter_px),
        "ice_signal": ice_signal(image, usable, diameter_px),
        "direction": power_direction(np.where(usable, image - smooth, 0.0)),
    }


def lowpass(image: np.ndarray, usable: np.ndarray, sigma_px: float) -> np.ndarray:
    """Gaussian low pass of an image (h, w) over its usable area alone (normalized convolution).

    Parameters
    ----------
    image : (h, w) array
        Image.
    usable : (h, w) bool array
        Area that counts.
    sigma_px : float
        Standard deviation of the Gaussian, in px.
    """
    values = gaussian(np.where(usable, image, 0), sigma_px)
    return values if usable.all() else values / np.maximum(gaussian(usable, sigma_px), 1e-3)


def gaussian(image: np.ndarray, sigma_px: float) -> np.ndarray:
    """Gaussian filter of an image (h, w) mirrored at its edges, by cosine transforms: equally fast for every width.

    Parameters
    ----------
    image : (h, w) array
        Image.
    sigma_px : float
        Standard deviation of the Gaussian, in px.
    """
    spectrum = scipy.fft.dctn(image.astype(np.float32), workers=FFT_THREADS)
    for axis, size in enumerate(image.shape):
        frequency = np.arange(size, dtype=np.float32) / (2 * size)
        factor = np.exp(-2 * (np.pi * sigma_px * frequency) ** 2)
        spectrum *= np.expand_dims(factor, 1 - axis)
    return scipy.fft.idctn(spectrum, workers=FFT_THREADS)


def band(image: np.ndarray, usable: np.ndarray, widths: tuple[float, float], diameter_px: float) -> np.ndarray:
    """Difference of two low passes of an image.

    Parameters
    ----------
    image, usable : (h, w) arrays
        As in `lowpass`.
    widths : (float, float)
        Standard deviations of the finer and of the coarser Gaussian, in particle diameters.
    diameter_px : float
        Particle diameter in px of the image.
    """
    finer, coarser = (lowpass(image, usable, width * diameter_px) for width in widths)
    return finer - coarser


def patchiness(coarse: np.ndarray, usable: np.ndarray, diameter_px: float) -> float:
    """Contrast of blotches in the 90th percentile of places relative to the 10th; about 1.5 if it is even.

    Parameters
    ----------
    coarse : (h, w) array
        Coarse band of the image.
    usable : (h, w) bool array
        Area that counts.
    diameter_px : float
        Particle diameter in px of the image.
    """
    local = lowpass(coarse**2, usable, TILE_DIAMETERS / 2 * diameter_px)
    low, high = np.quantile(local[usable], [0.1, 0.9])
    return float(np.sqrt(high / max(low, 1e-12)))


def dark_share(image: np.ndarray, usable: np.ndarray, particle: np.ndarray, diameter_px: float) -> float:
    """Share of the usable area in dark objects that touch no predicted particle.

    Parameters
    ----------
    image, usable : (h, w) arrays
        As in `image_measures`.
    particle : (h, w) bool array
        Predicted particles.
    diameter_px : float
        Particle diameter in px of the image.
    """
    values = band(image, usable, OBJECT_BAND_DIAMETERS, diameter_px)
    center, sd = np.median(values[usable]), robust_sd(values[usable])
    dark = usable & (values < center - OBJECT_DEVIATIONS * sd)
    objects, n = ndimage.label(dark)
    taken = np.zeros(n + 1, dtype=bool)
    taken[np.unique(objects[particle])] = True
    return float(np.mean(dark[usable] & ~taken[objects[usable]]))


def ice_signal(image: np.ndarray, usable: np.ndarray, diameter_px: float) -> float:
    """Median over tiles of the ice band's power relative to the noise band's; NaN without a usable tile.

    Ice scatters through the contrast transfer function, and its power rises towards low frequencies. Without ice, the
    noise of counting electrons has the same power at all frequencies.

    Parameters
    ----------
    image, usable : (h, w) arrays
        As in `image_measures`.
    diameter_px : float
        Particle diameter in px of the image.
    """
    side = min(round(TILE_DIAMETERS * diameter_px), *image.shape)
    frequency = np.hypot(scipy.fft.fftfreq(side)[:, None], scipy.fft.rfftfreq(side)) * diameter_px
    ice, noise = ((frequency >= low) & (frequency < high) for low, high in (ICE_BAND, NOISE_BAND))
    level = np.mean(image[usable]) if usable.any() else 0.0
    filled = np.where(usable, image, level)
    powers = [power_spectrum(filled[place]) for place in tiles(usable, side)]
    ratios = [power[ice].mean() / max(power[noise].mean(), 1e-30) for power in powers] if noise.any() else []
    return float(np.median(ratios)) if ratios else np.nan


def tiles(usable: np.ndarray, side: int) -> list[tuple[slice, slice]]:
    """Places of square tiles, spread evenly over an area, of which most is usable.

    Parameters
    ----------
    usable : (h, w) bool array
        Area that counts.
    side : int
        Side of a tile, in px.
    """
    starts = (np.linspace(0, size - side, max(1, round(size / side))).astype(int) for size in usable.shape)
    rows, columns = starts
    places = [(slice(y, y + side), slice(x, x + side)) for y in rows for x in columns]
    return [place for place in places if usable[place].mean() >= TILE_SHARE_MIN]


def power_spectrum(image: np.ndarray) -> np.ndarray:
    """Power on the half-plane of `rfft2`, after removal of the mean and a Hann window."""
    window = np.hanning(image.shape[0])[:, None] * np.hanning(image.shape[1])
    return np.abs(scipy.fft.rfft2((image - image.mean()) * window)) ** 2


def power_direction(image: np.ndarray) -> float:
    """Magnitude (0 to 1) of the second angular moment of an image's power, after division by its mean per frequency.

    It is 0 for isotropic power and 1 for waves of one direction.
    """
    power = power_spectrum(image)
    rows, columns = np.fft.fftfreq(image.shape[0])[:, None], np.fft.rfftfreq(image.shape[1])
    radius, angle = np.hypot(rows, columns), np.arctan2(rows, columns)
    # the column of frequency 0 has both halves of its waves, all others one
    band = (radius >= DIRECTION_BAND[0]) & (radius < DIRECTION_BAND[1]) & (columns > 0)
    rings = (radius[band] * min(image.shape)).astype(int)
    mean = np.bincount(rings, power[band]) / np.maximum(np.bincount(rings), 1)
    relative = power[band] / np.maximum(mean[rings], 1e-30)
    return float(abs(np.mean(relative * np.exp(2j * angle[band]))))


def ice_ring(image: np.ndarray, pixel_size: float) -> float:
    """Power of the rings of crystalline ice (3.4 to 3.95 Å) relative to that on both sides; 1 without a ring.

    NaN where the sampling does not reach beyond the rings (more than 1.57 Å/px) or the image is smaller than a tile.

    Parameters
    ----------
    image : (h, w) array
        Original micrograph, not down-sampled.
    pixel_size : float
        Pixel size of the image, in Å/px.
    """
    if 2 * pixel_size > 1 / RING_SIDES[1][1] or min(image.shape) < RING_TILE_PX:
        return np.nan
    places = tiles(np.ones(image.shape, dtype=bool), RING_TILE_PX)
    step = -(-len(places) // RING_TILES_MAX)
    power = np.mean([power_spectrum(image[place].astype(np.float32)) for place in places[::step]], axis=0)
    side = RING_TILE_PX
    frequency = np.hypot(scipy.fft.fftfreq(side)[:, None], scipy.fft.rfftfreq(side)) / pixel_size
    ring, inner, outer = (
        power[(frequency >= low) & (frequency < high)].mean() for low, high in (RING_BAND, *RING_SIDES)
    )
    return float(ring / max(np.sqrt(inner * outer), 1e-30))


def ice_ring_of_file(path: str | Path, name: str, pixel_size: float) -> float:
    """Ring of crystalline ice of a micrograph's file; NaN where the sampling is too coarse or the file unreadable.

    Parameters
    ----------
    path : str or Path
        File of the micrograph, or batch file of a simulation.
    name : str
        Name of the micrograph.
    pixel_size : float
        Pixel size of the micrograph, in Å/px.
    """
    if 2 * pixel_size > 1 / RING_SIDES[1][1]:
        return np.nan
    try:
        return ice_ring(read_micrograph(path, name=name, pixel_size=pixel_size).image, pixel_size)
    except UserError as error:
        log.warning("%s: the ice ring was not measured; %s", name, error)
        return np.nan
