"""Topaz (`topaz-em`): its pretrained detectors, and detectors trained on the training micrographs.

Topaz wants micrographs that are down-sampled until a particle fits into its receptive field (71 px for resnet8) and
scaled by its two-component Gaussian mixture, which is what `prepare` makes. Its training cannot be seeded.

Source: Bepler et al. 2019, Nat. Methods 16:1153; options of topaz-em 0.3.20.
"""

import importlib.util
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from crisp_core.errors import UserError
from crisp_core.formats.arrays import Array, Grid
from crisp_core.formats.coordinates.registry import onto_grids, read_coordinates
from crisp_core.geometry import angstrom_to_px, rescaled_xy
from crisp_core.pickers.running import pick_together_or_alone, write_images
from crisp_core.programs import run_program

INSTALL = "install it with: pip install topaz-em"
MODULE = "topaz.main"


def topaz_command(command: str, *, threads: int, gpus: int) -> list[str]:
    """Begin a command line of Topaz, of the Python that runs now: its script need not be on PATH.

    Raises
    ------
    UserError
        If Topaz is not installed.
    """
    if importlib.util.find_spec("topaz") is None:
        raise UserError(f"topaz: not found; {INSTALL}")
    return [sys.executable, "-m", MODULE, command, "-d", "0" if gpus else "-1", "-j", str(threads)]


def train(
    images: Iterable[tuple[str, Array]],
    coordinates: pd.DataFrame,
    *,
    folder: str | Path,
    settings: Mapping[str, Any],
    threads: int = 1,
    gpus: int = 0,
) -> Path:
    """Train a detector.

    Parameters
    ----------
    images : iterable of (micrograph, Array)
        Prepared micrographs of the training part.
    coordinates : DataFrame
        micrograph, x, y of their particles, in full-resolution pixels.
    folder : str or Path
        Existing, empty folder for Topaz's files.
    settings : mapping
        Section picker of an experiment with program topaz.
    threads, gpus : int

    Returns
    -------
    Path
        Detector of the last epoch, in `folder`.

    Raises
    ------
    UserError
        If Topaz is missing or fails, or if there is no particle to train on.
    """
    folder = Path(folder).absolute()
    grids = write_images(images, folder, pixel_size=settings["pixel_size"])
    targets = target_table(coordinates, grids)
    if targets.empty:
        raise UserError("topaz: no particle on the training micrographs; put micrographs with coordinates into train")
    targets.to_csv(folder / "targets.txt", sep="\t", index=False)
    # relative, since Topaz divides the lines of this table at every blank
    listed = pd.DataFrame({"image_name": list(grids), "path": [f"{name}.mrc" for name in grids]})
    listed.to_csv(folder / "images.txt", sep="\t", index=False)
    options = training_options(settings, n_expected=len(targets) / len(grids))
    files = ["--train-images", folder / "images.txt", "--train-targets", folder / "targets.txt"]
    files += ["--save-prefix", folder / "detector", "-o", folder / "curve.txt"]
    command = topaz_command("train", threads=threads, gpus=gpus)
    run_program([*command, *map(str, files), *options], install=INSTALL, folder=folder)
    return folder / f"detector_epoch{settings['epochs']}.sav"


def target_table(coordinates: pd.DataFrame, grids: Mapping[str, Grid]) -> pd.DataFrame:
    """Topaz's table of particles: image_name, x_coord, y_coord in whole pixels of the grids."""
    placed = onto_grids(coordinates, grids)
    columns = {"image_name": placed["micrograph"]}
    for i, axis in ((1, "x"), (0, "y")):
        last = placed["micrograph"].map({name: grid.shape[i] - 1 for name, grid in grids.items()})
        columns[f"{axis}_coord"] = placed[axis].round().clip(0, last).astype(int)
    return pd.DataFrame(columns)


def training_options(settings: Mapping[str, Any], *, n_expected: float) -> list[str]:
    """Options of `topaz train`; `n_expected` particles per micrograph where the settings name no number."""
    options = {
        "--model": settings["model"],
        "--units": settings["units"],
        "--num-epochs": settings["epochs"],
        "--epoch-size": settings["updates_per_epoch"],
        "--minibatch-size": settings["minibatch_size"],
        "--learning-rate": settings["learning_rate"],
        "--radius": settings["target_radius_px"],
        "--num-particles": f"{settings['expected_particles'] or n_expected:g}",
    }
    words = [str(word) for option in options.items() for word in option]
    return words if settings["pretrained"] else [*words, "--no-pretrained"]


def pick(
    images: Iterable[tuple[str, Array]],
    *,
    folder: str | Path,
    detector: str | Path,
    diameter_angstrom: float,
    settings: Mapping[str, Any],
    threads: int = 1,
    gpus: int = 0,
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Picks of a detector, those that Topaz itself would throw away (p < 0.0025) left out.

    Parameters
    ----------
    images : iterable of (micrograph, Array)
        Prepared micrographs.
    folder : str or Path
        Existing, empty folder for Topaz's files.
    detector : str or Path
        A file that `train` made, or the name of a detector that comes with Topaz.
    diameter_angstrom : float
        Particle diameter in Å.
    settings : mapping
        Section picker of an experiment with program topaz or topaz-pretrained.
    threads, gpus : int

    Returns
    -------
    picks : DataFrame
        micrograph, x, y (full-resolution pixels), score (log-likelihood ratio).
    failed : dict of str to str
        Reason by micrograph, of those on which Topaz fails.

    Raises
    ------
    UserError
        If Topaz is missing or fails on every micrograph.
    """
    folder = Path(folder).absolute()
    grids = write_images(images, folder, pixel_size=settings["pixel_size"])
    command = topaz_command("extract", threads=threads, gpus=gpus)

    def pick_written(names: Sequence[str]) -> pd.DataFrame:
        pixel_size = grids[names[0]].pixel_size
        radius = max(1, round(settings["radius_diameters"] * angstrom_to_px(diameter_angstrom, pixel_size)))
        output = folder / "picks.txt"
        options = ["-m", detector, "-r", radius, "-o", output, *(folder / f"{name}.mrc" for name in names)]
        run_program([*command, *map(str, options)], install=INSTALL)
        return read_coordinates(output, format="topaz")

    found, failed = pick_together_or_alone(list(grids), pick_written)
    for name, rows in found.groupby("micrograph"):
        xy = rescaled_xy(rows[["x", "y"]].to_numpy(), grids[name].shape, grids[name].full_shape)
        found.loc[rows.index, ["x", "y"]] = xy
    return found, failed
