"""Base of all other pickers, and the micrographs on which a picker runs or trains."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

import pandas as pd

from crisp_core.formats.arrays import Array, array_names, read_array
from crisp_core.options import Options

Threshold = float | Literal["published"] | None
Leak = bool | Literal["unknown"]


class Batch(NamedTuple):
    """Micrographs of one batch, and the means to pick on them.

    Attributes
    ----------
    images : str or Path
        HDF5 file of the prepared images.
    micrographs : mapping of str to str
        Path of every whole micrograph by its name; empty for pickers of prepared images.
    pixel_size : float
        Pixel size of the whole micrographs, in Å/px.
    diameter_angstrom : float
        Particle diameter, in Å.
    folder : Path
        Existing, empty folder for the files of the program; it is removed afterwards.
    detector : Path, optional
        File that `Picker.train` returned.
    threads, gpus : int
        Number of threads and of GPUs that the program may use.
    """

    images: str | Path
    micrographs: Mapping[str, str]
    pixel_size: float
    diameter_angstrom: float
    folder: Path
    detector: Path | None = None
    threads: int = 1
    gpus: int = 0

    def prepared(self) -> Iterator[tuple[str, Array]]:
        """Name and prepared image of every micrograph, one at a time."""
        for name in array_names(self.images, "image"):
            yield name, read_array(self.images, "image", name)

    def whole(self) -> dict[str, str]:
        """Path of the whole micrograph by name, without those that could not be prepared."""
        return {name: self.micrographs[name] for name in array_names(self.images, "image")}


class TrainingPart(NamedTuple):
    """Micrographs of the training part, and the means to train on them.

    Attributes
    ----------
    images : sequence of paths
        HDF5 files of the prepared images.
    names : collection of str
        Micrographs of the training part.
    coordinates : DataFrame
        micrograph, x, y of the particles, in pixels of the whole micrographs.
    folder : Path
        Existing, empty folder for the files of the program; it is removed afterwards.
    threads, gpus : int
        Number of threads and of GPUs that the program may use.
    """

    images: Sequence[str | Path]
    names: set[str]
    coordinates: pd.DataFrame
    folder: Path
    threads: int = 1
    gpus: int = 0

    def prepared(self) -> Iterator[tuple[str, Array]]:
        """Name and prepared image of every micrograph, one at a time."""
        for path in self.images:
            for name in array_names(path, "image"):
                if name in self.names:
                    yield name, read_array(path, "image", name)


class Found(NamedTuple):
    """Candidates: micrograph, x, y (pixels of the whole micrographs), score; and the reason of each failure by name."""

    picks: pd.DataFrame
    failed: Mapping[str, str] = {}


class Trained(NamedTuple):
    """Files that a training wrote: the detector, and its history as a table."""

    detector: Path
    history: Path


class Picker(Options):
    """Settings of another picker. A subclass adds `program`, its settings, and `pick`; with `trains` also `train`."""

    program: str = ""
    """Name of the program."""

    threshold: Threshold = None
    """Minimum score of a pick. null chooses the threshold of the best F1 on the validation part; published takes all
    picks and removes none by rule."""

    leak: Leak = "unknown"
    """Whether the picker was trained on micrographs of this dataset; tables show it."""

    from_files: ClassVar[bool] = False
    """Whether the picks are read from files, and no program runs."""
    whole_micrographs: ClassVar[bool] = False
    """Whether it reads the whole micrographs, and not only the prepared images."""
    uses_gpu: ClassVar[bool] = False
    """Whether its jobs ask for a GPU."""
    trains: ClassVar[bool] = False
    """Whether it trains on the training part."""
    only_for_picking: ClassVar[tuple[str, ...]] = ()
    """Settings on which its training does not depend."""

    def pick(self, batch: Batch) -> Found:
        """Candidates on a batch, whatever their score; heavy libraries are imported here."""
        raise NotImplementedError

    def train(self, part: TrainingPart) -> Trained:
        """Train a detector on the training part."""
        raise NotImplementedError
