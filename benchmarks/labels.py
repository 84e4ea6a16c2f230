"""Labels of datasets against those of another dataset of the same micrographs, and the best that discs would reach.

Usage: python benchmarks/labels.py results/<true dataset> results/<dataset> [more datasets]
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from crisp_core.evaluation.pixels import count_pixels, iou, pool_pixels, precision, recall
from crisp_core.formats.arrays import Array, array_names, read_array
from crisp_core.formats.relion_coordinates import read_coordinates_star
from crisp_core.geometry import angstrom_to_px, rescaled_xy
from crisp_core.labels.discs import disc_label

RADII_ANGSTROM = range(30, 121, 5)


def labels(folder: Path) -> Iterator[tuple[str, Array]]:
    """Labels of a dataset by micrograph."""
    for path in sorted((folder / "labels").glob("*.h5")):
        for name in array_names(path, "label"):
            yield name, read_array(path, "label", name)


def row(truth: dict[str, Array], made: Callable[[str], np.ndarray]) -> str:
    """Pooled IoU, precision and recall of made labels, as text."""
    counts = [
        count_pixels(made(name), array.data, np.ones(array.data.shape, dtype=bool)) for name, array in truth.items()
    ]
    pooled = pool_pixels(counts)
    return f"IoU {iou(pooled):.3f}  precision {precision(pooled):.3f}  recall {recall(pooled):.3f}"


def discs(array: Array, xy: np.ndarray, radius_angstrom: float) -> np.ndarray:
    """Discs around full-resolution positions, on the grid of a label."""
    xy = rescaled_xy(xy, array.full_shape, array.data.shape)
    return disc_label(array.data.shape, xy, radius_px=angstrom_to_px(radius_angstrom, array.pixel_size))


if __name__ == "__main__":
    true_folder, *folders = map(Path, sys.argv[1:])
    truth = dict(labels(true_folder))
    for folder in folders:
        made = dict(labels(folder))
        print(f"{folder}: {row(truth, lambda name, made=made: made[name].data == 1)}")
    table = read_coordinates_star(true_folder / "coordinates.star")
    xy = {name: table.loc[table["micrograph"] == name, ["x", "y"]].to_numpy() for name in truth}
    for radius in RADII_ANGSTROM:
        print(f"discs of {radius} Å: {row(truth, lambda name, r=radius: discs(truth[name], xy[name], r))}")
