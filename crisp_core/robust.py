"""Robust estimates, to which a few outliers contribute nothing."""

import numpy as np

# standard deviation of a normal distribution in units of its median absolute deviation
SD_PER_MAD = 1.4826


def robust_sd(values: np.ndarray) -> float:
    """Standard deviation by the median absolute deviation."""
    return SD_PER_MAD * float(np.median(np.abs(values - np.median(values))))
