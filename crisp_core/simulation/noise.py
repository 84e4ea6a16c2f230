"""Random fields of simulated micrographs: white and coloured noise, grain of materials, uneven ice."""

import numpy as np
import scipy.fft

from crisp_core.geometry import FFT_THREADS, Shape

# Power of the noise's coloured part at a frequency s: (1 + (s length)²) to minus this.
COLOUR_EXPONENT = 1.5


def noise_sd(clean: np.ndarray, *, pixel_size: float, snr: float, snr_pixel_size: float) -> float:
    """Standard deviation of white noise for a signal-to-noise ratio stated at another pixel size.

    The ratio is var(clean) / var(noise), var(clean) over the whole micrograph with CTF, empty areas included. Under
    Fourier down-sampling by a factor f, white noise keeps 1 / f² of its variance (the density of its power spectrum
    stays, the band shrinks), while a signal within the band keeps all; so at `pixel_size` the noise has
    (snr_pixel_size / pixel_size)² of the variance that it has at `snr_pixel_size`.

    Where there is no particle, 1.
    """
    variance = float(np.var(clean, dtype=np.float64))
    return float(np.sqrt(variance / snr)) * snr_pixel_size / pixel_size if variance > 0 else 1.0


def colour_noise(
    white: np.ndarray, *, pixel_size: float, coloured_share: float, length_angstrom: float, falloff_angstrom: float
) -> np.ndarray:
    """Colour white noise: a part that falls with frequency as ice's does, and a detector that blurs.

    Power at frequency s: (a + b (1 + (s length)²)^-3/2) exp(-(s falloff)²).

    Parameters
    ----------
    white : (h, w) float32 array
        White noise; returned as it is where the next and the falloff are 0.
    pixel_size : float
        Å/px.
    coloured_share : float
        Share of the variance that is the falling part, before the detector.
    length_angstrom : float
        Å; its power falls from there to finer detail.
    falloff_angstrom : float
        Å; at this resolution the detector leaves 1/e of the power.

    Returns
    -------
    (h, w) float32 array
        With the variance of `white` about 0.
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
    """White noise behind a Gaussian of standard deviation `grain_px`, scaled to a standard deviation `sd`.

    Where the grain is finer than a pixel, the part of the noise within the band of the pixels is left: what the same
    material shows at another pixel size is the same material.
    """
    spectrum = scipy.fft.rfft2(rng.standard_normal(shape, dtype=np.float32), workers=FFT_THREADS)
    for axis, frequency in enumerate((scipy.fft.fftfreq(shape[0]), scipy.fft.rfftfreq(shape[1]))):
        spectrum *= np.expand_dims(np.exp(-2 * (np.pi * grain_px * frequency) ** 2).astype(np.float32), 1 - axis)
    noise = scipy.fft.irfft2(spectrum, s=shape, workers=FFT_THREADS, overwrite_x=True)
    # Variance of white noise under a normalised Gaussian is 1 / (4 π σ²).
    return noise * np.float32(sd * 2 * np.sqrt(np.pi) * grain_px)


# Number of waves in the thickness of the ice.
GRADIENT_WAVES = 12


def draw_uneven_ice(shape: Shape, *, length_px: float, rng: np.random.Generator) -> np.ndarray:
    """Slow random field (h, w): waves in random directions, none shorter than `length_px`, of expected variance 1."""
    frequency = np.sqrt(rng.uniform(0, 1, GRADIENT_WAVES)) / length_px
    direction, phase = rng.uniform(-np.pi, np.pi, (2, GRADIENT_WAVES))
    rows = np.exp(2j * np.pi * frequency * np.sin(direction) * np.arange(shape[0])[:, None] + 1j * phase)
    columns = np.exp(2j * np.pi * frequency * np.cos(direction) * np.arange(shape[1])[:, None])
    rows, columns = rows.astype(np.complex64), columns.astype(np.complex64)
    return (rows @ columns.T).real * np.float32(np.sqrt(2 / GRADIENT_WAVES))
