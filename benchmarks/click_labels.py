"""Labels from clicks and their control, for the parts of benchmarks/clicks.py.

The control has the same boxes, classes and rounds, but no CRF: it smooths the log-odds by a Gaussian and leaves out
their factor. Its two lengths were chosen by the truth of the sets on which the settings of the CRF were chosen.
"""

from functools import partial

import numpy as np
import scipy.ndimage
from scipy.special import expit

from crisp_core.labels.clicks import ClickLabel, label_clicks
from crisp_core.labels.settings import ClickSettings
from crisp_core.segmentation.crf.smoothing import smoothed_marginals

# low pass of the micrograph and standard deviation of the Gaussian on the log-odds, in diameters
CONTROL = (0.08, 0.03)
BEST_DISC_RADII = np.arange(0.16, 0.6, 0.02)


def crf_label(
    image: np.ndarray, valid: np.ndarray, xy: np.ndarray, diameter_px: float, settings: ClickSettings
) -> ClickLabel:
    """Return the label of a micrograph as rule label_clicks makes it.

    Parameters
    ----------
    image, valid : (h, w) arrays
        Prepared micrograph and the pixels that count.
    xy : (n, 2) array
        Particles, px.
    diameter_px : float
        Diameter of the particle, px.
    settings : ClickSettings
        Section `labels/clicks`.
    """
    smooth = partial(smoothed_marginals, gamma_px=settings.gamma_diameters * diameter_px)
    sizes = {"diameter_px": diameter_px, "disc_radius_px": diameter_px / 4}
    return label_clicks(image, valid, xy, settings=settings, smooth=smooth, **sizes)


def control_label(
    image: np.ndarray, valid: np.ndarray, xy: np.ndarray, diameter_px: float, lowpass: float, smoothing: float
) -> ClickLabel:
    """Return the label of the control.

    Parameters
    ----------
    image, valid : (h, w) arrays
        Prepared micrograph and the pixels that count.
    xy : (n, 2) array
        Particles, px.
    diameter_px : float
        Diameter of the particle, px.
    lowpass, smoothing : float
        Standard deviations of the Gaussians on the micrograph and on the log-odds, in diameters.
    """

    def smooth(log_odds: np.ndarray, weight: float) -> np.ndarray:
        # no neighbours but those under the Gaussian
        sigma = smoothing * diameter_px
        return expit(scipy.ndimage.gaussian_filter(log_odds.astype(np.float32), (0, sigma, sigma)))

    settings = ClickSettings(unary_scale=1.0, lowpass_diameters=lowpass, weight=0.0)
    sizes = {"diameter_px": diameter_px, "disc_radius_px": diameter_px / 4}
    return label_clicks(image, valid, xy, settings=settings, smooth=smooth, **sizes)
