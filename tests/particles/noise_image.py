"""A micrograph of white noise."""

import numpy as np


def noise(shape=(40, 60), seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)
