"""From a raw micrograph to the network's input: resampled, flattened, scaled, with a mask of the valid pixels."""

from typing import NamedTuple

import numpy as np
import scipy
from scipy import ndimage, special

from crisp_core.errors import UserError
from crisp_core.geometry import FFT_THREADS, Shape, angstrom_to_px, rescaled_shape
from crisp_core.preparation.defects import dark_area, invalid_border, without_outliers
from crisp_core.preparation.enlargement import MOST_ENLARGED
from crisp_core.robust import SD_PER_MAD

METHODS = ("gaussian_mixture", "robust")
# Normalised values beyond this are dust; clipped, they cannot dominate a convolution.
CLIP = 10.0
# Prior of topaz-em on the share of the brighter component (background): a beta distribution.
ALPHA, BETA = 900, 1
# Pixels that the mixture is fitted to: its mean is then known to a hundredth of the standard deviation.
SAMPLE_PIXELS = 20_000
# Pixels from which outliers are judged: more change the median and its deviation by nothing that matters.
SPREAD_PIXELS = 1_000_000
# Shares of the brighter component from which the fit of the mixture starts; 1 is a single component.
FIRST_SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98)
# The fit ends at this many steps, or when a step adds less than that to the logarithm of the posterior.
MAX_STEPS, TOLERANCE = 100, 1e-3


class Scale(NamedTuple):
    """Offset and scale of the normalisation: normalised = (grey value − mean) / sd."""

    mean: float
    sd: float


class Prepared(NamedTuple):
    """A prepared image [y, x] (float32, 0 where not valid), its mask of valid pixels, and its pixel size in Å/px."""

    image: np.ndarray
    valid: np.ndarray
    pixel_size: float


def prepare(
    image: np.ndarray,
    pixel_size: float,
    *,
    working_pixel_size: float,
    normalization: str = "gaussian_mixture",
    highpass_angstrom: float = 0.0,
    margin_angstrom: float = 0.0,
) -> Prepared:
    """Resample, flatten and normalise one micrograph.

    Parameters
    ----------
    image : (h, w) float32 array
    pixel_size, working_pixel_size : float
        Å/px of the image and of the result.
    normalization : {"gaussian_mixture", "robust"}
        As in `normalize_image`.
    highpass_angstrom : float
        Standard deviation in Å of the Gaussian whose blur is subtracted; 0 is off.
    margin_angstrom : float
        Edge in Å that does not count; smeared borders (`invalid_border`) and dark ones (`dark_area`) never count.

    Raises
    ------
    UserError
        If nothing valid is left, the valid pixels are all equal, the method is unknown, or the image is more than 2.5
        times as coarse as the working pixel size.
    """
    if pixel_size > MOST_ENLARGED * working_pixel_size:
        raise UserError(
            f"{pixel_size:g} Å/px is more than {MOST_ENLARGED:g} times as coarse as working_pixel_size "
            f"{working_pixel_size:g}; give finer micrographs, or raise that"
        )
    new_shape = rescaled_shape(image.shape, pixel_size, working_pixel_size)
    usable = valid_area(image.shape, round(angstrom_to_px(margin_angstrom, pixel_size))) & ~invalid_border(image)
    usable &= ~dark_area(image, ~usable)
    if not usable.any():
        raise UserError("no valid pixel is left inside the margin, smeared and dark borders; lower margin_angstrom")
    # Before resampling, in which a hot pixel or the sharp step at a border would ring into its surroundings.
    values = image[usable]
    spread = robust(values[:: max(1, values.size // SPREAD_PIXELS)].astype(np.float64))
    clean = without_outliers(image, usable, median=spread.mean, sd=spread.sd)
    filled = np.where(usable, clean, np.float32(spread.mean))
    small, valid = fourier_resample(filled, new_shape), resample_mask(usable, new_shape)
    if not valid.any():
        raise UserError("no valid pixel is left at the working pixel size; lower margin_angstrom")
    actual = pixel_size * float(np.sqrt(np.prod(image.shape) / np.prod(new_shape)))
    if highpass_angstrom > 0:
        small = highpass(small, valid, sigma_px=angstrom_to_px(highpass_angstrom, actual))
    return Prepared(normalize_image(small, normalization, valid), valid, actual)


def fourier_resample(image: np.ndarray, new_shape: Shape) -> np.ndarray:
    """Resample to a coarser or finer grid by cropping or padding the Fourier transform; the mean is kept.

    The first pixel stays where it is, so a coordinate x becomes x · w_new / w (see `geometry`).

    Parameters
    ----------
    image : (h, w) array
    new_shape : (int, int)
        Height and width of the result.

    Returns
    -------
    new_shape float32 array
    """
    if image.shape == tuple(new_shape):
        return np.array(image, dtype=np.float32)
    if new_shape[0] > image.shape[0] or new_shape[1] > image.shape[1]:
        rows = scipy.signal.resample(image.astype(np.float32, copy=False), new_shape[0], axis=0)
        return scipy.signal.resample(rows, new_shape[1], axis=1).astype(np.float32, copy=False)
    height, width = new_shape
    spectrum = scipy.fft.rfft2(image.astype(np.float32, copy=False), workers=FFT_THREADS)
    n_low = (height + 1) // 2
    cropped = np.concatenate([spectrum[:n_low], spectrum[image.shape[0] - height // 2 :]])[:, : width // 2 + 1]
    # On the new grid's Nyquist frequency the two signs of a frequency fall together: it is left out, as ASPIRE does.
    if height % 2 == 0 and height < image.shape[0]:
        cropped[n_low] = 0
    if width % 2 == 0 and width < image.shape[1]:
        cropped[:, -1] = 0
    scale = np.float32(height * width / image.size)
    return scipy.fft.irfft2(cropped, s=new_shape, workers=FFT_THREADS).astype(np.float32, copy=False) * scale


def resample_mask(mask: np.ndarray, new_shape: Shape) -> np.ndarray:
    """Mask on another grid: True where every pixel from half a new pixel before the centre to half behind is True.

    On a finer grid, the nearest pixel counts, and of two the first.
    """
    for axis, n_new in enumerate(new_shape):
        factor = mask.shape[axis] / n_new
        centers = np.arange(n_new) * factor
        # a billionth of a pixel is rounding
        starts = np.ceil(centers - max(factor, 1) / 2 - 1e-9)
        starts = starts.clip(0, mask.shape[axis] - 1).astype(int)
        mask = np.logical_and.reduceat(mask, starts, axis=axis)
    return mask


def normalize_image(image: np.ndarray, method: str, valid: np.ndarray) -> np.ndarray:
    """Scale an image to (image - mean) / sd, from its valid pixels only.

    Parameters
    ----------
    image : (h, w) array
    method : {"gaussian_mixture", "robust"}
        How mean and standard deviation are estimated: see `gaussian_mixture` and `robust`.
    valid : (h, w) bool array

    Returns
    -------
    (h, w) float32 array
        Clipped to ±10; 0 where not valid.

    Raises
    ------
    UserError
        If the method is unknown, or the valid pixels are none or all equal.
    """
    if method not in METHODS:
        raise UserError(f"normalization: {method} is not a method; give one of {', '.join(METHODS)}")
    values = image[valid].astype(np.float64)
    scale = (gaussian_mixture if method == "gaussian_mixture" else robust)(values)
    scaled = np.clip((image - scale.mean) / scale.sd, -CLIP, CLIP)
    return np.where(valid, scaled, 0).astype(np.float32)


def gaussian_mixture(values: np.ndarray, *, seed: int = 0) -> Scale:
    """Mean and standard deviation of the brighter of two Gaussian components (the background between dark particles).

    The fit (`brighter_component`) is made on a seeded sample of 20,000 pixels, so equal images give equal results.

    Raises
    ------
    UserError
        If the values are none or all equal.
    """
    spread = robust(values)
    chosen = values.ravel()
    if chosen.size > SAMPLE_PIXELS:
        chosen = np.random.default_rng(seed).choice(chosen, SAMPLE_PIXELS, replace=False, shuffle=False)
    # Scaled first: the tolerance is absolute. Clipped: one hot pixel would be a component.
    standard = np.clip((chosen - spread.mean) / spread.sd, -CLIP, CLIP)
    mean, sd = brighter_component(standard, weight=values.size / standard.size)
    if not (np.isfinite(mean) and np.isfinite(sd) and sd > 0):
        return spread
    return Scale(spread.mean + mean * spread.sd, sd * spread.sd)


def brighter_component(values: np.ndarray, *, weight: float = 1.0) -> Scale:
    """Fit two Gaussians of one variance, with a beta prior on the share of the brighter one, which is returned.

    Expectation maximisation from several shares, each of which first splits the values at that quantile; the fit of
    the highest posterior counts, be it that of a single Gaussian.

    Parameters
    ----------
    values : (n,) float64 array
    weight : float
        Pixels for which each value stands.

    Source: Bepler et al. 2020, Nat. Commun. 11:5208, Methods; equal to `topaz.stats.norm_fit`.
    """
    fits = [_fit_from(values, share, weight) for share in FIRST_SHARES]
    single = Scale(float(values.mean()), float(values.std(ddof=1)))
    deviations = (values - single.mean) / single.sd
    likelihood = -0.5 * float(deviations @ deviations) - values.size * np.log(single.sd * np.sqrt(2 * np.pi))
    # topaz adds the prior's density here and not its logarithm
    fits.append((weight * likelihood + float(np.exp(_log_prior(1.0))), single))
    return fits[int(np.argmax([posterior for posterior, _ in fits]))][1]


def _fit_from(values: np.ndarray, share: float, weight: float) -> tuple[float, Scale]:
    """Log posterior and brighter component of the fit that starts with the brightest `share` of the values in it."""
    bright = (values > np.quantile(values, 1 - share)).astype(float)
    posterior = -np.inf
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for _ in range(MAX_STEPS + 1):
            dark = 1 - bright
            means = [float(values @ part / part.sum()) if part.any() else values.mean() for part in (dark, bright)]
            squares = [(values - mean) ** 2 for mean in means]
            variance = float(dark @ squares[0] + bright @ squares[1]) / values.size
            logs = [-square / (2 * variance) - 0.5 * np.log(2 * np.pi * variance) for square in squares]
            total = np.logaddexp(logs[0] + np.log1p(-share), logs[1] + np.log(share))
            before, posterior = posterior, weight * float(total.sum()) + _log_prior(share)
            # not <=: where a component has vanished, the posterior is not a number
            if not posterior - before > TOLERANCE:
                break
            bright = np.exp(logs[1] + np.log(share) - total)
            share = (ALPHA + float(bright.sum()) - 1) / (ALPHA + BETA + values.size - 2)
    return posterior, Scale(means[1], float(np.sqrt(variance)))


def _log_prior(share: float) -> float:
    """Logarithm of the beta distribution's density."""
    return float(special.xlogy(ALPHA - 1, share) + special.xlog1py(BETA - 1, -share) - special.betaln(ALPHA, BETA))


def robust(values: np.ndarray) -> Scale:
    """Median, and standard deviation from the median absolute deviation (the plain one where more than half are equal).

    Raises
    ------
    UserError
        If the values are none or all equal.
    """
    if values.size == 0 or values.min() == values.max():
        raise UserError("every valid pixel has the same value, so there is no image in it; leave it out of the dataset")
    median = float(np.median(values))
    sd = SD_PER_MAD * float(np.median(np.abs(values - median)))
    return Scale(median, sd if sd > 0 else float(np.std(values)))


def highpass(image: np.ndarray, valid: np.ndarray, *, sigma_px: float) -> np.ndarray:
    """Subtract a wide blur of the valid pixels, so that ice and carbon gradients go and particles stay.

    The blur is divided by that of the mask (normalised convolution, Knutsson & Westin 1993), so invalid pixels and the
    edge pull nothing; a constant becomes 0.

    Parameters
    ----------
    image : (h, w) array
        Grey values.
    valid : (h, w) bool array
        True at the pixels that enter the blur.
    sigma_px : float
        Standard deviation of the Gaussian blur, in px.
    """
    weight = ndimage.gaussian_filter(valid.astype(np.float32), sigma_px, mode="constant", truncate=3.0)
    blurred = ndimage.gaussian_filter(
        np.where(valid, image, 0).astype(np.float32), sigma_px, mode="constant", truncate=3.0
    )
    return image - np.divide(blurred, weight, out=np.zeros_like(blurred), where=weight > 1e-6)


def valid_area(shape: Shape, margin_px: int) -> np.ndarray:
    """Mask of `shape`, True farther than `margin_px` pixels from the edge."""
    valid = np.zeros(shape, dtype=bool)
    height, width = shape
    valid[margin_px : max(height - margin_px, 0), margin_px : max(width - margin_px, 0)] = True
    return valid
