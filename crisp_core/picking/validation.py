"""Maps of the validation micrographs, on which finder and threshold are chosen."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from crisp_core.classes import PARTICLE
from crisp_core.datasets.splits import read_part
from crisp_core.formats.arrays import Grid, array_grids, array_names, read_array
from crisp_core.picking.removal import kept_on_map


@dataclass(frozen=True)
class ValidationMaps:
    """Files with the maps of the validation micrographs, by micrograph.

    Attributes
    ----------
    probability : mapping of micrograph to path
        Files with predicted probabilities, and classes if the network has more than two.
    images : mapping of micrograph to path
        Files with prepared images and their valid area.
    grids : mapping of micrograph to Grid
        Grids of the predicted probabilities.
    """

    probability: Mapping[str, str]
    images: Mapping[str, str]
    grids: Mapping[str, Grid]

    def predicted(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield the particle probability of one micrograph after the other."""
        for name, path in self.probability.items():
            yield name, read_array(path, "probability", name).data.astype(np.float32)

    def labels(self, paths: Iterable[str]) -> Iterator[tuple[str, np.ndarray]]:
        """Yield the particle label of one micrograph after the other, as 0 and 1."""
        for path in paths:
            for name in array_names(path, "label"):
                if name in self.probability:
                    yield name, (read_array(path, "label", name).data == PARTICLE).astype(np.float32)

    def filter_of(self, name: str, **rules: Any) -> Callable[[pd.DataFrame], pd.DataFrame]:
        """Return a filter that keeps the centers of a micrograph which rule `pick` would keep."""
        path = self.probability[name]
        return partial(
            kept_on_map,
            grid=self.grids[name],
            valid=read_array(self.images[name], "valid", name).data,
            label=read_array(path, "class", name).data if name in array_names(path, "class") else None,
            **rules,
        )


def find_validation_maps(split: str, probability: Iterable[str], images: Iterable[str]) -> ValidationMaps:
    """Find the maps of the validation micrographs.

    Parameters
    ----------
    split : str
        Table of the parts.
    probability, images : iterables of str
        Files of all batches with predicted probabilities and with prepared images.
    """
    validation = set(read_part(split, "validation"))
    files: dict[str, str] = {}
    grids: dict[str, Grid] = {}
    for path in probability:
        found = {name: grid for name, grid in array_grids(path, "probability").items() if name in validation}
        files |= dict.fromkeys(found, path)
        grids |= found
    return ValidationMaps(files, {name: path for path in images for name in array_names(path, "image")}, grids)
