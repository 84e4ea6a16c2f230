"""Random changes of the contrast of a crop."""

import numpy as np
from scipy import fft

# rings of the random modulation up to the Nyquist frequency, least and most
RINGS = (1.0, 6.0)


def jitter_contrast(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Scale and shift a normalised image by up to `strength`: ice thickness and dose differ between micrographs.

    Parameters
    ----------
    image : (h, w) array
        Normalised image.
    strength : float
        Largest change of the gain from 1, and of the offset from 0 in standard deviations.
    rng : numpy Generator
        Source of random numbers.
    """
    gain, offset = rng.uniform(-strength, strength, 2)
    return (image * (1 + gain) + offset).astype(np.float32)


def jitter_rings(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Modulate the spectrum of a (height, width) image by rings, as another defocus does.

    The phase of the contrast transfer grows with the square of the spatial frequency k, and so does that of the gain
    1 + a cos(π n (k / k_Nyquist)² + φ), with a in ± `strength`, n in `RINGS` and φ drawn uniformly. The mean stays.

    Parameters
    ----------
    image : (h, w) array
        Normalised image.
    strength : float
        Largest amplitude of the modulation; 1 is the whole amplitude of the spectrum.
    rng : numpy Generator
        Source of random numbers.
    """
    amplitude, n, phase = rng.uniform(-strength, strength), rng.uniform(*RINGS), rng.uniform(0, 2 * np.pi)
    height, width = image.shape
    squared = (2 * fft.fftfreq(height)[:, None]) ** 2 + (2 * fft.rfftfreq(width)) ** 2
    gain = 1 + amplitude * np.cos(np.pi * n * squared + phase)
    gain[0, 0] = 1
    return fft.irfft2(fft.rfft2(image) * gain.astype(np.float32), image.shape).astype(np.float32)
