"""Random streams of a micrograph's own."""

import zlib

import numpy as np


def named_rng(seed: int, name: str, *more: int) -> np.random.Generator:
    """Return the generator of a name, such as a micrograph's: neither batches nor other names change what it draws.

    Parameters
    ----------
    seed : int
        From the config.
    name : str
    *more : int
        Tell several independent streams of one name apart.
    """
    return np.random.default_rng([seed, zlib.crc32(name.encode()), *more])
