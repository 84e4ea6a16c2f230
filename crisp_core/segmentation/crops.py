"""Random crops of labelled micrographs: their places, the pixels that count in the loss, and augmentation."""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import h5py
import numpy as np
import pandas as pd
from scipy import ndimage

from crisp_core.classes import IGNORED, PARTICLE, network_label
from crisp_core.errors import UserError
from crisp_core.formats.arrays import Grid, array_grids, array_names, read_array, read_window
from crisp_core.formats.tables import read_table
from crisp_core.segmentation.jitter import jitter_contrast, jitter_rings
from crisp_core.segmentation.pixel_weights import read_weights, weighted_label

ALL = slice(None)

# places that are tried for a crop that must hold a particle
MAX_DRAWS = 20


class LabelledMicrograph(NamedTuple):
    """A micrograph's name, the batch files that hold its image and its label, and its dataset."""

    name: str
    images: str
    labels: str
    dataset: str = ""


def labelled_parts(
    split: pd.DataFrame, images: Sequence[str], labels: Sequence[str], *, dataset: str = ""
) -> dict[str, list[LabelledMicrograph]]:
    """Micrographs of every part of a dataset's split; those without a label, which are in quarantine, are left out.

    Parameters
    ----------
    split : DataFrame
        Columns micrograph and part.
    images, labels : sequences of paths
        Batch files, in the same order.
    dataset : str
        Name of the dataset; two datasets may have micrographs of one name.
    """
    files = {
        name: (image_path, label_path)
        for image_path, label_path in zip(images, labels, strict=True)
        for name in array_names(label_path, "label")
    }
    return {
        part: [LabelledMicrograph(name, *files[name], dataset) for name in rows["micrograph"] if name in files]
        for part, rows in split.groupby("part")
    }


def parts_of_datasets(
    splits: Sequence[str],
    images: Sequence[str],
    labels: Sequence[str],
    *,
    n_batches: Mapping[str, int],
    n_train: int | None = None,
    without_training: Collection[str] = (),
) -> dict[str, list[LabelledMicrograph]]:
    """Training and validation micrographs of all datasets of a network.

    Parameters
    ----------
    splits : sequence of paths
        Table of the parts of every dataset.
    images, labels : sequences of paths
        Batch files of all datasets, one dataset after the other.
    n_batches : mapping of str to int
        Number of batch files of every dataset, in the same order.
    n_train : int, optional
        Only the first training micrographs of every dataset.
    without_training : collection of str
        Datasets that are for validation alone.

    Raises
    ------
    UserError
        If one of several datasets has no training micrograph, and is not for validation alone.
    """
    parts: dict[str, list[LabelledMicrograph]] = {"train": [], "validation": []}
    start = 0
    for (dataset, n), path in zip(n_batches.items(), splits, strict=True):
        split, own = read_table(path), slice(start, start + n)
        # a network of one dataset names no dataset, so that its crops are those of the dataset alone
        name = dataset if len(n_batches) > 1 else ""
        found = labelled_parts(split, images[own], labels[own], dataset=name)
        if len(n_batches) > 1 and not found.get("train") and dataset not in without_training:
            raise UserError(
                f"{path}: no training micrograph of {dataset} could be used; correct its files or split, or take it "
                "out of the network's datasets"
            )
        parts["train"] += found.get("train", [])[:n_train]
        parts["validation"] += found.get("validation", [])
        start += n
    return parts


class Uncertain(NamedTuple):
    """Distances in Å that define the pixels whose label is uncertain: see `uncertain_pixels`."""

    band_angstrom: float = 0.0
    unlabelled_angstrom: float | None = None


ALL_CERTAIN = Uncertain()


class Crops:
    """Random crops, turned and mirrored; item `i` is always the same crop, whatever was read before.

    Every dataset gives the same number of crops, however many micrographs it has, and every micrograph of a dataset the
    same number (give or take one). Crops are read from disk one by one; nothing is kept in memory.

    Parameters
    ----------
    micrographs : sequence of LabelledMicrograph
    crop_px : int
        Side of a crop, working pixels.
    n_items : int
    contrast_jitter, defocus_jitter : float
        Strengths of `jitter_contrast` and `jitter_rings`; 0 is off.
    empty_share : float
        A crop may be without particle with this probability; otherwise up to `MAX_DRAWS` places are drawn until one
        holds a particle. 1 takes crops as they fall.
    uncertain : Uncertain
        Pixels that do not count, in addition to invalid ones.
    classes : sequence of str
        Of the network; pixels of other classes are background.
    seed : int
    """

    def __init__(
        self,
        micrographs: Sequence[LabelledMicrograph],
        *,
        crop_px: int,
        n_items: int,
        contrast_jitter: float = 0.0,
        defocus_jitter: float = 0.0,
        empty_share: float = 1.0,
        uncertain: Uncertain = ALL_CERTAIN,
        classes: Sequence[str],
        seed: int,
    ) -> None:
        self.micrographs = list(micrographs)
        self.crop_px = crop_px
        self.n_items = n_items
        self.contrast_jitter = contrast_jitter
        self.defocus_jitter = defocus_jitter
        self.empty_share = empty_share
        self.uncertain = uncertain
        self.classes = list(classes)
        self.seed = seed
        files = {path: array_grids(path, "label") for path in {m.labels for m in self.micrographs}}
        self.grids = [files[m.labels][m.name] for m in self.micrographs]
        self.turns = dataset_turns([m.dataset for m in self.micrographs])

    def __len__(self) -> int:
        return self.n_items

    def __getitem__(self, item: int) -> tuple[np.ndarray, np.ndarray]:
        """Return image (1, crop_px, crop_px) float32 and label (crop_px, crop_px) uint8 with `IGNORED` pixels."""
        rng = np.random.default_rng([self.seed, item])
        own = self.turns[item % len(self.turns)]
        number = own[item // len(self.turns) % len(own)]
        image, label = self.read(self.micrographs[number], self.grids[number], rng)
        image = jitter_contrast(image, self.contrast_jitter, rng)
        if self.defocus_jitter:
            image = jitter_rings(image, self.defocus_jitter, rng)
        quarter_turns, mirrored = int(rng.integers(4)), rng.integers(2)
        image, label = (np.rot90(a[:, ::-1] if mirrored else a, quarter_turns).copy() for a in (image, label))
        return image[None], label

    def read(
        self, micrograph: LabelledMicrograph, grid: Grid, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Read a crop at a random place: image float32 and label uint8, both (crop_px, crop_px).

        A micrograph smaller than the crop is continued with ignored zeros.

        Parameters
        ----------
        micrograph : LabelledMicrograph
            Name of the micrograph, and the HDF5 files of its image and label.
        grid : Grid
            Height and width of the micrograph in px, and its pixel size in Å/px.
        rng : numpy Generator
            Source of the random place.
        """
        # opened anew for every crop: a tenth of the time of reading, and handles do not survive a fork
        with h5py.File(micrograph.images) as images, h5py.File(micrograph.labels) as labels:
            corner = self.draw_corner(labels, micrograph.name, grid, rng)
            place = _window(corner, self.crop_px)
            image = read_window(images, "image", micrograph.name, *place)
            valid = read_window(images, "valid", micrograph.name, *place)
            around, inside = _widened(corner, image.shape, margin_px(self.uncertain, grid.pixel_size))
            label = read_window(labels, "label", micrograph.name, *around)
            valid &= sure_pixels(labels, micrograph.name, *place)
            weight = read_weights(labels, micrograph.name, *place)
        uncertain = uncertain_pixels(label, self.uncertain, pixel_size=grid.pixel_size)
        target = weighted_label(training_label(label[inside], valid & ~uncertain[inside], self.classes), weight)
        missing = [(0, self.crop_px - n) for n in image.shape]
        return np.pad(image, missing), np.pad(target, missing, constant_values=IGNORED)

    def draw_corner(self, labels: h5py.File, name: str, grid: Grid, rng: np.random.Generator) -> tuple[int, int]:
        """Draw the crop's first row and column; only windows of the label are read.

        Parameters
        ----------
        labels : h5py.File
            HDF5 file of the labels, open for reading.
        name : str
            Name of the micrograph.
        grid : Grid
            Height and width of the micrograph, in px.
        rng : numpy Generator
            Source of the random place.
        """
        corner = _random_corner(grid.shape, self.crop_px, rng)
        if self.empty_share == 1 or rng.random() < self.empty_share:
            return corner
        for _ in range(MAX_DRAWS - 1):
            if (read_window(labels, "label", name, *_window(corner, self.crop_px)) == PARTICLE).any():
                break
            corner = _random_corner(grid.shape, self.crop_px, rng)
        return corner


def dataset_turns(datasets: Sequence[str]) -> list[list[int]]:
    """Positions of the micrographs of every dataset, in the order in which the datasets first appear."""
    turns: dict[str, list[int]] = {}
    for position, dataset in enumerate(datasets):
        turns.setdefault(dataset, []).append(position)
    return list(turns.values())


def _random_corner(shape: tuple[int, int], crop_px: int, rng: np.random.Generator) -> tuple[int, int]:
    y, x = (int(rng.integers(max(n - crop_px, 0) + 1)) for n in shape)
    return y, x


def _window(corner: tuple[int, int], size_px: int) -> tuple[slice, slice]:
    y, x = corner
    return slice(y, y + size_px), slice(x, x + size_px)


def _widened(
    corner: tuple[int, int], shape: tuple[int, int], margin: int
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Window of `shape` at `corner` with a margin, and the place of the window in what is read there."""
    starts = [max(first - margin, 0) for first in corner]
    rows, columns = (slice(start, first + n + margin) for start, first, n in zip(starts, corner, shape, strict=True))
    offsets = [first - start for start, first in zip(starts, corner, strict=True)]
    inside = slice(offsets[0], offsets[0] + shape[0]), slice(offsets[1], offsets[1] + shape[1])
    return (rows, columns), inside


def sure_pixels(labels: h5py.File, name: str, rows: slice = ALL, columns: slice = ALL) -> np.ndarray | bool:
    """Return the pixels (h, w) of a window that count by the label's own estimate; True if the file has none.

    Parameters
    ----------
    labels : h5py.File
        HDF5 file of the labels, open for reading.
    name : str
        Name of the micrograph.
    rows, columns : slice
        Rows and columns of the window, px.
    """
    return f"unsure/{name}" not in labels or ~read_window(labels, "unsure", name, rows, columns).astype(bool)


def read_label(micrograph: LabelledMicrograph, uncertain: Uncertain) -> tuple[np.ndarray, np.ndarray]:
    """Read the whole label (h, w) of a micrograph, and its pixels that count (h, w) bool."""
    label, pixel_size, _ = read_array(micrograph.labels, "label", micrograph.name)
    with h5py.File(micrograph.labels) as labels:
        counts = read_array(micrograph.images, "valid", micrograph.name).data & sure_pixels(labels, micrograph.name)
    return label, counts & ~uncertain_pixels(label, uncertain, pixel_size=pixel_size)


def training_label(label: np.ndarray, counts: np.ndarray, classes: Sequence[str]) -> np.ndarray:
    """Label (h, w) uint8 by the channels of a network with these classes; `IGNORED` where `counts` is False.

    Parameters
    ----------
    label : (h, w) array
        Class of each pixel, as numbered in the label file.
    counts : (h, w) bool array
        Pixels that count in training.
    classes : strings
        Names of the classes of the network.
    """
    return np.where(counts, network_label(label, classes), IGNORED).astype(np.uint8)


def uncertain_pixels(label: np.ndarray, uncertain: Uncertain, *, pixel_size: float) -> np.ndarray:
    """Mask of the pixels whose label is uncertain.

    Parameters
    ----------
    label : (height, width) array of all classes
    uncertain : Uncertain
        `band_angstrom`: pixels whose centre is nearer than this to the outline of the particles, on either side: where
        exactly a particle ends is a matter of a threshold. The outline runs midway between pixels of different labels.
        `unlabelled_angstrom`: background farther than this from every labelled particle, where picks are incomplete:
        what lies there may be particles that nobody picked. Labelled contaminant and carbon stay.
    pixel_size : float
        Å/px of `label`.
    """
    mask = np.zeros(label.shape, bool)
    particle = label == PARTICLE
    if uncertain.band_angstrom and particle.any() and not particle.all():
        # one of the two distances is 0, the other one is to the nearest pixel of the other side
        distance_px = ndimage.distance_transform_edt(particle) + ndimage.distance_transform_edt(~particle)
        mask |= (distance_px - 0.5) * pixel_size < uncertain.band_angstrom
    if uncertain.unlabelled_angstrom is not None:
        distance_px = ndimage.distance_transform_edt(~particle) if particle.any() else np.full(label.shape, np.inf)
        mask |= (label == 0) & (distance_px * pixel_size > uncertain.unlabelled_angstrom)
    return mask


def margin_px(uncertain: Uncertain, pixel_size: float) -> int:
    """Pixels around a crop that decide which of its pixels are uncertain."""
    reach = max(uncertain.band_angstrom, uncertain.unlabelled_angstrom or 0.0)
    return math.ceil(reach / pixel_size) + 1 if uncertain != ALL_CERTAIN else 0
