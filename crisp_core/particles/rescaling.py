"""Fourier rescaling of particle images."""

import numpy as np
import scipy.fft


def rescale_images(stack: np.ndarray, new_box: int) -> np.ndarray:
    """Resample images (n, box, box) to (n, new_box, new_box) by cropping or padding their Fourier transforms.

    Grey values are kept, and so is the position of the first pixel: pixel box/2 becomes pixel new_box/2. Both sides
    must be even.
    """
    box = stack.shape[-1]
    if box % 2 or new_box % 2:
        raise ValueError(f"boxes must be even, not {box} and {new_box}")
    half = min(box, new_box) // 2
    source = scipy.fft.rfft2(stack)
    target = np.zeros((len(stack), new_box, new_box // 2 + 1), dtype=source.dtype)
    # Rows 0 … half and 1 − half … −1: only the positive Nyquist row is kept, as in RELION.
    target[:, : half + 1, : half + 1] = source[:, : half + 1, : half + 1]
    if half > 1:
        target[:, 1 - half :, : half + 1] = source[:, 1 - half :, : half + 1]
    if new_box > box:  # RELION enlarges without the corners beyond the Nyquist frequency
        rows = scipy.fft.fftfreq(new_box, 1 / new_box)[:, None]
        target *= np.hypot(rows, np.arange(new_box // 2 + 1)) <= half
    scale = (new_box / box) ** 2
    return (scipy.fft.irfft2(target, s=(new_box, new_box)) * scale).astype(np.float32, copy=False)
