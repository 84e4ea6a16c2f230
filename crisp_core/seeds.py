"""Random streams, one per name and purpose."""

import zlib

import numpy as np


def named_rng(seed: int, name: str, purpose: str) -> np.random.Generator:
    """Return the generator of a name and a purpose: neither batches, other names nor other purposes change its draws.

    Parameters
    ----------
    seed : int
        From the config.
    name : str
        For example a micrograph's.
    purpose : str
        What the numbers are for, such as ``simulation``: two purposes of one name draw independent numbers.
    """
    return np.random.default_rng([seed, zlib.crc32(name.encode()), zlib.crc32(purpose.encode())])
