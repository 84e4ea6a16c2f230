"""scikit-image's Laplacian-of-Gaussian blobs: the naive baseline, on prepared images.

Source: Lindeberg 1998, Int. J. Comput. Vis. 30:79. A disc of radius r answers most at a scale of r / √2.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy import ndimage
from skimage.feature import blob_log


def pick(image: np.ndarray, *, diameter_px: float, settings: Mapping[str, Any]) -> pd.DataFrame:
    """Blobs of the particle's size.

    Parameters
    ----------
    image : (h, w) float array
        Normalised to a standard deviation of about 1.
    diameter_px : float
        Particle diameter in pixels of the image.
    settings : mapping
        Section picker of an experiment with program skimage-log.

    Returns
    -------
    DataFrame
        x, y (pixels of the image), score: the scale-normalised Laplacian there. It doesn't depend on the image's size.
    """
    scales = np.asarray(settings["diameters"], dtype=float) * diameter_px / np.sqrt(8)
    bright = np.asarray(image if settings["white_particles"] else -image, dtype=np.float32)
    n_scales = settings["n_scales"]
    blobs = blob_log(
        bright,
        min_sigma=scales[0],
        max_sigma=scales[1],
        num_sigma=n_scales,
        threshold=settings["least_score"],
        overlap=settings["overlap"],
    )
    score = np.zeros(len(blobs))
    for sigma in np.linspace(scales[0], scales[1], n_scales):
        here = np.isclose(blobs[:, 2], sigma)
        response = -(sigma**2) * ndimage.gaussian_laplace(bright, sigma)
        score[here] = response[tuple(blobs[here, :2].astype(int).T)]
    return pd.DataFrame({"x": blobs[:, 1], "y": blobs[:, 0], "score": score})
