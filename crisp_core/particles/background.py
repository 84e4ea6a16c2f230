"""Normalisation of particle images by their background."""

import numpy as np

# Images per step; a step fits into the cache of the processor.
IMAGES_PER_STEP = 8


def normalize_background(stack: np.ndarray, *, bg_radius_px: float) -> tuple[np.ndarray, np.ndarray]:
    """Normalise images so that their background is flat, with mean 0 and standard deviation 1.

    A plane is fitted by least squares to the background: pixels farther than `bg_radius_px` from pixel size/2. It is
    subtracted from the whole image, which is then divided by the (population) standard deviation of the background.

    Parameters
    ----------
    stack : np.ndarray
        Images (n, size, size).
    bg_radius_px : float
        Radius of the particle's circle in px, at most size / 2.

    Returns
    -------
    tuple of np.ndarray
        Images (n, size, size), float32, and bool (n,): False for an image with a constant background, which cannot be
        normalised and is all zeros.
    """
    size = stack.shape[-1]
    if not 0 < 2 * bg_radius_px <= size:
        raise ValueError(f"bg_radius_px must be between 0 and half the box of {size}, not {bg_radius_px}")
    offset = np.arange(size) - size // 2
    y, x = np.meshgrid(offset, offset, indexing="ij")
    background = x**2 + y**2 > bg_radius_px**2
    plane = np.stack([x, y, np.ones_like(x)], axis=-1).astype(float)
    plane = plane.reshape(-1, 3)
    outside = background.ravel().astype(float)
    fit = np.zeros_like(plane.T)
    fit[:, background.ravel()] = np.linalg.pinv(plane[background.ravel()])
    flat = np.empty(stack.shape, dtype=np.float32)
    normal = np.empty(len(stack), dtype=bool)
    for start in range(0, len(stack), IMAGES_PER_STEP):
        step = slice(start, start + IMAGES_PER_STEP)
        images = stack[step].reshape(-1, size**2).astype(float)
        largest = np.abs(images * outside).max(axis=1, initial=0)
        # einsum, since the threads of a matrix product this small wait longer than they work
        a, b, c = np.einsum("ij,kj->ki", images, fit)[:, :, None]
        squares = images.reshape(-1, size, size)
        squares -= (a * offset)[:, None, :]
        squares -= (b * offset + c)[:, :, None]
        deviation = np.sqrt(np.einsum("ij,ij,j->i", images, images, outside) / outside.sum())
        # The residuals of a constant or an exact plane are rounding errors, about 1e-7 of 32-bit grey values.
        normal[step] = deviation > 1e-6 * np.maximum(largest, np.finfo(np.float32).tiny)
        images *= np.where(normal[step], 1 / np.where(normal[step], deviation, 1), 0)[:, None]
        flat[step] = images.reshape(-1, size, size)
    return flat, normal
