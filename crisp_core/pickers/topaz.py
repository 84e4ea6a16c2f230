"""Topaz (`topaz-em`): its pretrained detectors, and detectors trained on the training micrographs.

Topaz needs micrographs that are down-sampled until a particle fits into its receptive field (71 px for resnet8) and
scaled by its two-component Gaussian mixture, as `prepare` makes them. Its training cannot be seeded.

Source: Bepler et al. 2019, Nat. Methods 16:1153; options of topaz-em 0.3.20.
"""

import importlib.util
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import pandas as pd
from pydantic import Field

from crisp_core.errors import UserError
from crisp_core.formats.arrays import Grid
from crisp_core.formats.coordinates.placing import onto_grids
from crisp_core.formats.coordinates.registry import read_coordinates
from crisp_core.formats.tables import write_table
from crisp_core.geometry import angstrom_to_px, rescaled_xy
from crisp_core.pickers.picker import Batch, Found, Picker, Trained, TrainingPart
from crisp_core.pickers.running import pick_together_or_alone, write_images
from crisp_core.programs import run_program
from crisp_core.sections import Count, PixelSize, Positive

INSTALL = "install it with: pip install topaz-em"
MODULE = "topaz.main"


class Topaz(Picker):
    """Settings that all detectors of Topaz have."""

    pixel_size: PixelSize | None = None
    """Pixel size in Å/px of the images for Topaz; null is preparation/working_pixel_size."""

    radius_diameters: Positive = 0.5
    """Extraction radius of Topaz: minimum distance of two picks, in particle diameters."""

    uses_gpu: ClassVar[bool] = True

    def detector(self, batch: Batch) -> str | Path:
        """File of a detector, or the name of one that comes with Topaz."""
        raise NotImplementedError

    def pick(self, batch: Batch) -> Found:
        """Picks of a detector with their log-likelihood ratio, without those that Topaz discards (p < 0.0025).

        Raises
        ------
        UserError
            If Topaz is missing or fails on every micrograph.
        """
        folder = Path(batch.folder).absolute()
        grids = write_images(batch.prepared(), folder, pixel_size=self.pixel_size)
        command = topaz_command("extract", threads=batch.threads, gpus=batch.gpus)

        def pick_written(names: Sequence[str]) -> pd.DataFrame:
            """Run Topaz on the written micrographs `names` of one size and pixel size, and read its picks."""
            diameter_px = angstrom_to_px(batch.diameter_angstrom, grids[names[0]].pixel_size)
            radius, output = max(1, round(self.radius_diameters * diameter_px)), folder / "picks.txt"
            options = ["-m", self.detector(batch), "-r", radius, "-o", output]
            run_program([*command, *map(str, options), *(f"{folder / name}.mrc" for name in names)], install=INSTALL)
            return read_coordinates(output, format="topaz")

        found, failed = pick_together_or_alone(list(grids), pick_written)
        for name, rows in found.groupby("micrograph"):
            xy = rescaled_xy(rows[["x", "y"]].to_numpy(), grids[name].shape, grids[name].full_shape)
            found.loc[rows.index, ["x", "y"]] = xy
        return Found(found, failed)


class PretrainedTopaz(Topaz):
    """Detector that comes with Topaz."""

    program: Literal["topaz-pretrained"] = "topaz-pretrained"
    """Name of the program."""

    model: Literal["resnet8_u32", "resnet8_u64", "resnet16_u32", "resnet16_u64"] = "resnet16_u64"
    """Name of the detector."""

    def detector(self, batch: Batch) -> str | Path:
        """Name of the detector."""
        return self.model


class TrainedTopaz(Topaz):
    """Detector that Topaz trains on the training part; the defaults are Topaz's own."""

    program: Literal["topaz"] = "topaz"
    """Name of the program."""

    model: Literal["resnet8", "resnet16"] = "resnet8"
    """Architecture."""

    units: Literal[32, 64] = 32
    """Number of units of the first layer."""

    pretrained: bool = True
    """Whether to start from the detector that comes with Topaz."""

    epochs: Count = 10
    """Number of epochs."""

    updates_per_epoch: Count = 1000
    """Number of minibatches per epoch."""

    minibatch_size: Annotated[int, Field(ge=16)] = 256
    """Number of crops per minibatch."""

    learning_rate: Positive = 0.0002
    """Learning rate."""

    target_radius_px: Count = 3
    """Distance from a particle's center within which pixels count as particle."""

    expected_particles: Positive | None = None
    """Expected number of particles per micrograph, for incomplete coordinates; null is the mean number of coordinates
    on the training part."""

    trains: ClassVar[bool] = True
    only_for_picking: ClassVar[tuple[str, ...]] = ("radius_diameters",)

    def detector(self, batch: Batch) -> str | Path:
        """File that `train` wrote."""
        if batch.detector is None:
            raise UserError("topaz: no detector; train one first")
        return Path(batch.detector).absolute()

    def train(self, part: TrainingPart) -> Trained:
        """Train a detector; returns the file of the last epoch and the history.

        Raises
        ------
        UserError
            If Topaz is missing or fails, or if the training part has no particle.
        """
        folder = Path(part.folder).absolute()
        grids = write_images(part.prepared(), folder, pixel_size=self.pixel_size)
        targets = target_table(part.coordinates, grids)
        if targets.empty:
            raise UserError("topaz: the training part has no particle; put micrographs with coordinates into train")
        write_table(targets, folder / "targets.txt")
        # relative, since Topaz divides the lines of this table at every blank
        listed = pd.DataFrame({"image_name": list(grids), "path": [f"{name}.mrc" for name in grids]})
        write_table(listed, folder / "images.txt")
        files = ["--train-images", folder / "images.txt", "--train-targets", folder / "targets.txt"]
        files += ["--save-prefix", folder / "detector", "-o", folder / "curve.txt"]
        options = self.training_options(n_expected=len(targets) / len(grids))
        command = topaz_command("train", threads=part.threads, gpus=part.gpus)
        run_program([*command, *map(str, files), *options], install=INSTALL, folder=folder)
        return Trained(folder / f"detector_epoch{self.epochs}.sav", folder / "curve.txt")

    def training_options(self, *, n_expected: float) -> list[str]:
        """Options of `topaz train`; `n_expected` particles per micrograph where the settings name no number."""
        options = {
            "--model": self.model,
            "--units": self.units,
            "--num-epochs": self.epochs,
            "--epoch-size": self.updates_per_epoch,
            "--minibatch-size": self.minibatch_size,
            "--learning-rate": self.learning_rate,
            "--radius": self.target_radius_px,
            "--num-particles": f"{self.expected_particles or n_expected:g}",
        }
        words = [str(word) for option in options.items() for word in option]
        return words if self.pretrained else [*words, "--no-pretrained"]


def topaz_command(command: str, *, threads: int, gpus: int) -> list[str]:
    """Begin a command line of Topaz, of the Python that runs now: its script need not be on PATH.

    Parameters
    ----------
    command : str
        Subcommand of Topaz, such as train or extract.
    threads : int
        Number of worker processes.
    gpus : int
        Number of GPUs; with 0, or where PyTorch can use none, Topaz runs on the CPU. The process takes the lock of the
        GPU, so that local jobs have different ones.

    Raises
    ------
    UserError
        If Topaz is not installed.
    """
    if importlib.util.find_spec("topaz") is None:
        raise UserError(f"topaz: not found; {INSTALL}")
    number = None
    if gpus:
        # PyTorch comes with it, which Topaz imports anyway
        from crisp_core.segmentation.devices import take_gpu

        number = take_gpu()
    device = -1 if number is None else number
    return [sys.executable, "-m", MODULE, command, "-d", str(device), "-j", str(threads)]


def target_table(coordinates: pd.DataFrame, grids: Mapping[str, Grid]) -> pd.DataFrame:
    """Topaz's table of particles: image_name, x_coord, y_coord in whole pixels of the grids."""
    placed = onto_grids(coordinates, grids)
    columns = {"image_name": placed["micrograph"]}
    for i, axis in ((1, "x"), (0, "y")):
        last = placed["micrograph"].map({name: grid.shape[i] - 1 for name, grid in grids.items()})
        columns[f"{axis}_coord"] = placed[axis].round().clip(0, last).astype(int)
    return pd.DataFrame(columns)
