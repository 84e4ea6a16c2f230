"""Maps drawn at known sub-pixel places."""

import numpy as np


def discs(shape, xy, diameter_px):
    """Discs of probability 1 with an edge one pixel soft, so that their place is sub-pixel."""
    rows, columns = np.indices(shape)
    image = np.zeros(shape)
    for x, y in np.reshape(xy, (-1, 2)):
        inside = diameter_px / 2 - np.hypot(columns - x, rows - y)
        image = np.maximum(image, np.clip(inside + 0.5, 0, 1))
    return image.astype(np.float32)


def scattered(n, side, apart, *, margin, seed):
    """Up to `n` places (n, 2) at least `apart` from each other and `margin` from the edges."""
    rng = np.random.default_rng(seed)
    xy = np.empty((0, 2))
    for candidate in rng.uniform(margin, side - margin, (50 * n, 2)):
        if len(xy) < n and (np.linalg.norm(xy - candidate, axis=1) >= apart).all():
            xy = np.vstack([xy, candidate])
    return xy
