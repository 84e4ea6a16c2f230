"""Arrays between the steps: one HDF5 file per batch, one dataset `kind/NAME` per micrograph.

A dataset is chunked, so that training reads a random crop without the rest, and carries two attributes: `pixel_size`
(Å/px of the stored grid) and `full_shape` (height and width of the original micrograph). Labels also carry
`classes`, the names of their numbers.
"""

from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

from crisp_core.classes import CLASSES
from crisp_core.errors import UserError, opening

CHUNK_PX = 256
# kinds of arrays whose values are numbers of classes
CLASS_KINDS = ("label", "class", "scenery", "truth")


class Grid(NamedTuple):
    """Shape and pixel size (Å/px) of a stored array, and the shape (height, width) of the original micrograph."""

    shape: tuple[int, int]
    pixel_size: float
    full_shape: tuple[int, int]

    @property
    def full_pixel_size(self) -> float:
        """Å/px of the original micrograph."""
        return self.pixel_size * self.shape[1] / self.full_shape[1]


class Array(NamedTuple):
    """A stored array [y, x], its pixel size (Å/px) and the shape (height, width) of the original micrograph."""

    data: np.ndarray
    pixel_size: float
    full_shape: tuple[int, int]

    @property
    def grid(self) -> Grid:
        """Shape and pixel size of the array."""
        height, width = self.data.shape
        return Grid((height, width), self.pixel_size, self.full_shape)


def write_array(
    file: h5py.File, kind: str, name: str, data: np.ndarray, *, pixel_size: float, full_shape: tuple[int, int]
) -> None:
    """Write one micrograph's array to `kind/name` of an open file.

    Booleans and 8-bit integers are compressed (gzip, which every HDF5 program reads); other types are stored as they
    are. Equal input gives equal bytes: h5py stores no time stamps unless it is asked to.

    Parameters
    ----------
    file : h5py.File
        File open for writing.
    kind : str
        Kind of array: image, valid, label, probability, ….
    name : str
        Micrograph (its stem).
    data : np.ndarray
        `(height, width)` array, stored in its own dtype.
    pixel_size : float
        Å/px of `data`.
    full_shape : tuple[int, int]
        Height and width of the original micrograph in pixels.
    """
    if "/" in name:
        raise ValueError(f"a micrograph's name cannot contain a slash: {name}")
    group = file[kind] if kind in file else file.create_group(kind, track_order=True)
    small = data.dtype.itemsize == 1
    dataset = group.create_dataset(
        name,
        data=data,
        chunks=tuple(min(n, CHUNK_PX) for n in data.shape),
        compression="gzip" if small else None,
        compression_opts=1 if small else None,
    )
    dataset.attrs["pixel_size"] = float(pixel_size)
    dataset.attrs["full_shape"] = np.asarray(full_shape, dtype=np.int64)
    if kind in CLASS_KINDS:
        dataset.attrs["classes"] = list(CLASSES)
    # HDF5 ignores errors when it closes the dataset, so that a file on a full disk would seem complete
    file.flush()


def open_arrays(path: str | Path) -> h5py.File:
    """Open an array file for reading.

    Raises
    ------
    UserError
        If the file is missing, unreadable or not HDF5.
    """
    try:
        with opening(path):
            return h5py.File(path, "r")
    except OSError:
        raise UserError(
            f"{path}: is not an HDF5 file, or is truncated; delete it and run the workflow again, which writes it anew"
        ) from None


def read_array(path: str | Path, kind: str, name: str) -> Array:
    """Read one micrograph's whole array.

    Parameters
    ----------
    path : str or Path
        HDF5 file.
    kind, name : str
        Kind of array, and micrograph (its stem).

    Raises
    ------
    UserError
        If the file cannot be read or holds no array of this kind and name.
    """
    with open_arrays(path) as file:
        dataset = _dataset(file, kind, name)
        grid = _grid(dataset)
        return Array(_values(dataset, ()), grid.pixel_size, grid.full_shape)


def read_window(file: h5py.File, kind: str, name: str, rows: slice, columns: slice) -> np.ndarray:
    """Read `array[rows, columns]` of one micrograph from an open file; only chunks in this region are read.

    Parameters
    ----------
    file : h5py.File
        File open for reading.
    kind, name : str
        Kind of array, and micrograph (its stem).
    rows, columns : slice
        Region in pixels of the stored array.

    Raises
    ------
    UserError
        If the file holds no array of this kind and name.
    """
    return _values(_dataset(file, kind, name), (rows, columns))


def array_grids(path: str | Path, kind: str) -> dict[str, Grid]:
    """Grid of every array of this kind, by micrograph, without reading the arrays.

    Raises
    ------
    UserError
        If the file cannot be read.
    """
    with open_arrays(path) as file:
        return {name: _grid(dataset) for name, dataset in file.get(kind, {}).items()}


def array_names(path: str | Path, kind: str) -> list[str]:
    """Micrographs that have an array of this kind, in the order in which they were written.

    Raises
    ------
    UserError
        If the file cannot be read.
    """
    with open_arrays(path) as file:
        return list(file[kind]) if kind in file else []


def _grid(dataset: h5py.Dataset) -> Grid:
    height, width = (int(n) for n in dataset.attrs["full_shape"])
    return Grid(dataset.shape, float(dataset.attrs["pixel_size"]), (height, width))


def _values(dataset: h5py.Dataset, place: tuple[slice, ...]) -> np.ndarray:
    """Values at a place; numbers of classes are converted from the file's list of classes to `CLASSES`."""
    values, written = dataset[place], tuple(dataset.attrs.get("classes", CLASSES))
    if written == CLASSES:
        return values
    if unknown := set(written) - set(CLASSES):
        raise UserError(
            f"{dataset.file.filename}: classes {', '.join(sorted(unknown))} are unknown; "
            "delete it and run the workflow again"
        )
    return np.asarray([CLASSES.index(name) for name in written], dtype=values.dtype)[values]


def _dataset(file: h5py.File, kind: str, name: str) -> h5py.Dataset:
    dataset = file.get(f"{kind}/{name}")
    if not isinstance(dataset, h5py.Dataset) or not {"pixel_size", "full_shape"} <= set(dataset.attrs):
        raise UserError(
            f"{file.filename}: has no array {kind}/{name} in CRISP's form; "
            "if the file is a result of CRISP, delete it and run the workflow again"
        )
    return dataset
