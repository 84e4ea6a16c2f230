"""Random fields of simulated micrographs: white and coloured noise, grain of materials, uneven ice."""

import numpy as np
import scipy.fft

from crisp_core.geometry import FFT_THREADS, Shape

# Exponent of the coloured part: its power at frequency s is (1 + (s length)²)^-COLOUR_EXPONENT.
COLOUR_EXPONENT = 1.5


def noise_sd(clean: np.ndarray, *, pixel_size: float, snr: float, snr_pixel_size: float) -> float:
    """Return the standard deviation of white noise for a signal-to-noise ratio stated at another pixel size.

    The ratio is var(clean) / var(noise), with var(clean) over the whole micrograph with CTF, empty areas included.
    Fourier down-sampling by a factor f reduces the variance of white noise to 1 / f² (its spectral density is kept, its
    band shrinks), but not that of a signal within the band. The variance of the noise at `pixel_size` is therefore
    (snr_pixel_size / pixel_size)² times that at `snr_pixel_size`.

    Parameters
    ----------
    clean : (h, w) array
        Micrograph without noise; the result is 1 if it is constant.
    pixel_size : float
        Pixel size of the micrograph, Å/px.
    snr : float
        Signal-to-noise ratio.
    snr_pixel_size : float
        Pixel size at which the ratio holds, Å/px.
    """
    variance = float(np.var(clean, dtype=np.float64))
    return float(np.sqrt(variance / snr)) * snr_pixel_size / pixel_size if variance > 0 else 1.0


def colour_noise(
    white: np.ndarray, *, pixel_size: float, coloured_share: float, length_angstrom: float, falloff_angstrom: float
) -> np.ndarray:
    """Colour white noise: a part with falling power, as of ice, and the blur of a detector.

    Power at frequency s: (a + b (1 + (s length)²)^-3/2) exp(-(s falloff)²).

    Parameters
    ----------
    white : (h, w) float32 array
        White noise, returned unchanged if coloured_share and falloff_angstrom are 0.
    pixel_size : float
        Pixel size, Å/px.
    coloured_share : float
        Share of the coloured part in the variance, before the detector.
    length_angstrom : float
        Length below which the power of the coloured part falls, Å.
    falloff_angstrom : float
        Resolution at which the detector reduces the power to 1/e, Å.

    Returns
    -------
    (h, w) float32 array
        Noise with the mean square of `white`.
    """
    if coloured_share == 0 and falloff_angstrom == 0:
        return white
    fy = scipy.fft.fftfreq(white.shape[0], pixel_size).astype(np.float32)[:, None]
    s2 = fy**2 + scipy.fft.rfftfreq(white.shape[1], pixel_size).astype(np.float32) ** 2
    falling = (1 + s2 * np.float32(length_angstrom**2)) ** np.float32(-COLOUR_EXPONENT)
    falling *= np.float32(coloured_share) / falling.mean(dtype=float)
    amplitude = np.sqrt(falling + np.float32(1 - coloured_share)) * np.exp(s2 * np.float32(-(falloff_angstrom**2) / 2))
    amplitude[0, 0] = 0
    spectrum = scipy.fft.rfft2(white, workers=FFT_THREADS)
    noise = scipy.fft.irfft2(spectrum * amplitude, s=white.shape, workers=FFT_THREADS, overwrite_x=True)
    return noise * np.float32(np.sqrt(np.mean(white**2, dtype=float) / np.mean(noise**2, dtype=float)))


def draw_grain(shape: Shape, sd: float, grain_px: float, rng: np.random.Generator) -> np.ndarray:
    """Draw the grain of a material: white noise blurred by a Gaussian.

    If the grain is finer than a pixel, only the part within the band of the pixels is kept, so that the same material
    looks alike at every pixel size.

    Parameters
    ----------
    shape : (int, int)
        Height and width in px.
    sd : float
        Standard deviation of the grain at fine pixels.
    grain_px : float
        Standard deviation of the Gaussian in px.
    rng : numpy Generator
        Source of random numbers.
    """
    spectrum = scipy.fft.rfft2(rng.standard_normal(shape, dtype=np.float32), workers=FFT_THREADS)
    for axis, frequency in enumerate((scipy.fft.fftfreq(shape[0]), scipy.fft.rfftfreq(shape[1]))):
        spectrum *= np.expand_dims(np.exp(-2 * (np.pi * grain_px * frequency) ** 2).astype(np.float32), 1 - axis)
    noise = scipy.fft.irfft2(spectrum, s=shape, workers=FFT_THREADS, overwrite_x=True)
    # A normalised Gaussian reduces the variance of white noise to 1 / (4 π σ²).
    return noise * np.float32(sd * 2 * np.sqrt(np.pi) * grain_px)


# Number of waves in the thickness of uneven ice.
GRADIENT_WAVES = 12


def draw_uneven_ice(shape: Shape, *, length_px: float, rng: np.random.Generator) -> np.ndarray:
    """Draw a slow random field with expected variance 1: a sum of waves in random directions.

    Parameters
    ----------
    shape : (int, int)
        Height and width in px.
    length_px : float
        Minimum wavelength in px.
    rng : numpy Generator
        Source of random numbers.
    """
    frequency = np.sqrt(rng.uniform(0, 1, GRADIENT_WAVES)) / length_px
    direction, phase = rng.uniform(-np.pi, np.pi, (2, GRADIENT_WAVES))
    rows = np.exp(2j * np.pi * frequency * np.sin(direction) * np.arange(shape[0])[:, None] + 1j * phase)
    columns = np.exp(2j * np.pi * frequency * np.cos(direction) * np.arange(shape[1])[:, None])
    rows, columns = rows.astype(np.complex64), columns.astype(np.complex64)
    return (rows @ columns.T).real * np.float32(np.sqrt(2 / GRADIENT_WAVES))
