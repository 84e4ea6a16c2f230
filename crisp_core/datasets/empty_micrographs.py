"""Micrographs that are known to have no particle."""

from collections.abc import Iterable

import pandas as pd


def add_empty_micrographs(names: pd.DataFrame, micrographs: Iterable[str], *, path: str) -> pd.DataFrame:
    """Add the micrographs that no coordinate file names, as empty ones, where the coordinates are complete.

    Parameters
    ----------
    names : DataFrame
        As `importing.Imported` has it: columns path, name, micrograph, n_coordinates.
    micrographs : iterable of str
        All micrographs of the coordinates.
    path : str
        File that the added rows name.
    """
    missing = sorted(set(micrographs) - set(names["micrograph"]))
    empty = pd.DataFrame({"path": path, "name": missing, "micrograph": missing, "n_coordinates": 0})
    return pd.concat([names, empty], ignore_index=True) if missing else names
