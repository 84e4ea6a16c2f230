"""Laplacian-of-Gaussian blobs of scikit-image: a simple baseline, on prepared images.

Source: Lindeberg 1998, Int. J. Comput. Vis. 30:79. The response of a disc of radius r is largest at a scale of r / √2.
"""

from typing import Annotated, Literal

import numpy as np
import pandas as pd
import scipy
from pydantic import Field

from crisp_core.geometry import angstrom_to_px, rescaled_xy
from crisp_core.pickers.picker import Batch, Found, Leak, Picker
from crisp_core.pickers.running import joined
from crisp_core.sections import Count, Positive, Share


class SkimageLog(Picker):
    """Laplacian-of-Gaussian blobs of scikit-image."""

    program: Literal["skimage-log"] = "skimage-log"
    """Name of the program."""

    diameters: Annotated[list[Positive], Field(min_length=2, max_length=2)] = Field(default=[0.6, 1.0])
    """Diameters of the smallest and the largest blob, in particle diameters."""

    n_scales: Count = 4
    """Number of blob diameters that are tried, from the smallest to the largest."""

    least_score: Positive = 0.05
    """Minimum score of a candidate."""

    overlap: Share = 0.3
    """Maximum overlap of two blobs, as a share of their area; beyond it the smaller one is removed."""

    white_particles: bool = False
    """Whether particles are brighter than their surroundings."""

    leak: Leak = False
    """Whether the picker was trained on micrographs of this dataset; tables show it."""

    def pick(self, batch: Batch) -> Found:
        """Blobs of the particle's size on every prepared image."""
        tables = []
        for name, image in batch.prepared():
            found = self.find_blobs(image.data, angstrom_to_px(batch.diameter_angstrom, image.pixel_size))
            found[["x", "y"]] = rescaled_xy(found[["x", "y"]].to_numpy(), image.data.shape, image.full_shape)
            tables.append(found.assign(micrograph=name))
        return Found(joined(tables))

    def find_blobs(self, image: np.ndarray, diameter_px: float) -> pd.DataFrame:
        """Blobs of the particle's size.

        Parameters
        ----------
        image : (h, w) float array
            Image normalised to a standard deviation of about 1.
        diameter_px : float
            Particle diameter in pixels of the image.

        Returns
        -------
        DataFrame
            x, y (pixels of the image), score: the scale-normalised Laplacian there, which does not depend on the size
            of the image.
        """
        from skimage.feature import blob_log

        low, high = np.asarray(self.diameters, dtype=float) * diameter_px / np.sqrt(8)
        bright = np.asarray(image if self.white_particles else -image, dtype=np.float32)
        sizes = {"min_sigma": low, "max_sigma": high, "num_sigma": self.n_scales}
        blobs = blob_log(bright, **sizes, threshold=self.least_score, overlap=self.overlap)
        score = np.zeros(len(blobs))
        for sigma in np.linspace(low, high, self.n_scales):
            here = np.isclose(blobs[:, 2], sigma)
            response = -(sigma**2) * scipy.ndimage.gaussian_laplace(bright, sigma)
            score[here] = response[tuple(blobs[here, :2].astype(int).T)]
        return pd.DataFrame({"x": blobs[:, 1], "y": blobs[:, 0], "score": score})
