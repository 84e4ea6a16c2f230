"""Program crisp_train: a network from the coordinates of RELION's manual picking, as an External job of RELION.

Start it from the folder of the RELION project. Micrographs without coordinates are left out. crisp_pick takes the
folder of this job as --network.
"""

import argparse
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from crisp_core.datasets.coordinate_files import read_each, with_listed_files
from crisp_core.datasets.coordinate_names import matched_names
from crisp_core.errors import UserError
from crisp_core.external.micrograph_list import MicrographList, coordinate_file, read_micrograph_list
from crisp_core.external.running import (
    OneLineParser,
    add_answer,
    add_job_options,
    at_least,
    run_as_job,
    run_workflow,
    say,
    write_config,
)
from crisp_core.formats.relion_autopick import is_coordinate_list, listed_files, placed_file, read_listed_names
from crisp_core.formats.relion_labels import X_LABEL
from crisp_core.formats.star import as_table, read_blocks
from crisp_core.formats.stems import micrograph_stem
from crisp_core.formats.text import read_text
from crisp_core.paths import matching_files
from crisp_core.plan.additions import parts_file, places_file, recorded_places

DATASET, EXPERIMENT = "micrographs", "trained"
RUN, NETWORK = f"results/{DATASET}/{EXPERIMENT}", "network.pt"
TRAINED_FILES = (f"{RUN}/centers.yaml", f"{RUN}/plots/training.png")
# RELION 3.1: coords_suffix_manualpick.star has the list of micrographs, and its name the end of the files' names.
SUFFIX_PREFIX = "coords_suffix"


def trained_folder(job: Path) -> Path:
    """Folder of the trained network in the folder of a crisp_train job.

    Raises
    ------
    UserError
        If there is none.
    """
    folder = job / RUN
    if not (folder / "centers.yaml").is_file():
        raise UserError(f"{job}: has no trained network; give the folder of a training that has ended")
    return folder


def is_network_of_job(path: Path) -> bool:
    """Whether a path is the network of a crisp_train job, which has a finder and a threshold too."""
    return path.name == NETWORK and (path.parent / RUN / "centers.yaml").is_file()


def parser() -> argparse.ArgumentParser:
    """Options of crisp_train."""
    options = OneLineParser(prog="crisp_train", description=__doc__ or "")
    add_job_options(options)
    options.add_argument(
        "--in_coords", required=True, help="folder of a ManualPick job, its coords_suffix file or its list"
    )
    options.add_argument("--in_mics", help="star file of micrographs; default: the one that was picked")
    options.add_argument("--diameter", required=True, type=float, help="longest extent of the particle in Å")
    options.add_argument("--validation", type=at_least(1), help="micrographs that choose the threshold; default: 1/4")
    options.add_argument("--epochs", type=at_least(1), help="length of the training; default: that of CRISP")
    options.add_argument("--pixel_size", type=float, help="Å/px; default: that of the star file")
    add_answer(options, "--report", default="yes", help="no: network and threshold alone, without a report")
    return options


def picked_file(given: str) -> Path:
    """File that names the coordinates: `given`, or, if `given` is the folder of a job, the one in it."""
    path = Path(given)
    if not path.is_dir():
        return path
    found = sorted(path.glob(f"{SUFFIX_PREFIX}*.star")) + [p for p in sorted(path.glob("*pick.star")) if is_list(p)]
    if not found:
        raise UserError(f"--in_coords: {given} has no {SUFFIX_PREFIX}*.star and no list; give a ManualPick job")
    return found[0]


def is_list(path: Path) -> bool:
    """Whether a file is RELION's list of coordinate files."""
    return path.is_file() and is_coordinate_list(path)


def coordinates_of(path: Path, micrographs_star: str | None) -> tuple[MicrographList, dict[str, str]]:
    """Micrographs of a manual-pick job, and their files of coordinates by stem; files without a particle are left out.

    Parameters
    ----------
    path : Path
        RELION 3.1's coords_suffix file, or the list of RELION 4 and 5.
    micrographs_star : str, optional
        Star file of the micrographs; a list of coordinate files needs it.

    Raises
    ------
    UserError
        If the micrographs are unknown, or the files cannot be read.
    """
    if path.name.startswith(SUFFIX_PREFIX):
        suffix = path.name.removeprefix(SUFFIX_PREFIX)
        micrographs = read_micrograph_list(micrographs_star or read_text(path).strip())
        files = {micrograph_stem(name): coordinate_file(path.parent, name, suffix) for name in micrographs.names}
    elif is_list(path):
        if micrographs_star is None:
            raise UserError(f"--in_mics: is missing; {path} needs it, give the star file of the picked micrographs")
        micrographs = read_micrograph_list(micrographs_star)
        names, known = read_listed_names(path), set(micrographs.names)
        # two folders may have a micrograph of the same name: only where no name is equal, stems decide
        equal = {micrograph_stem(name): placed_file(path, file) for file, name in names.items() if name in known}
        files = equal or {stem: file for file, stem in listed_files(path).items()}
    else:
        raise UserError(f"--in_coords: {path} is not a list of coordinate files; give the folder of a ManualPick job")
    return micrographs, {stem: file for stem, file in files.items() if has_particles(file)}


def has_particles(path: str) -> bool:
    """Whether a file of coordinates exists and has a particle."""
    if not Path(path).is_file():
        return False
    return any(X_LABEL in table and len(table) for table in map(as_table, read_blocks(path).values()))


def run_config(options: argparse.Namespace, micrographs: MicrographList, files: dict[str, str]) -> dict[str, Any]:
    """Config of the training.

    Parameters
    ----------
    options : Namespace
        Options of crisp_train.
    micrographs : MicrographList
        Micrographs of RELION's list.
    files : dict
        File of coordinates by stem.

    Raises
    ------
    UserError
        If there are too few micrographs, or the pixel size is unknown.
    """
    names = {stem: name for stem, name in micrographs.by_stem().items() if stem in files}
    size = micrographs.pixel_size if options.pixel_size is None else options.pixel_size
    if size is None:
        raise UserError("--pixel_size: is missing, and the star file of micrographs does not state it; give it in Å/px")
    dataset = {
        "micrographs": [str(Path(name).absolute()) for name in names.values()],
        "pixel_size": size,
        "particle_diameter_angstrom": options.diameter,
        "coordinates": {
            "files": [str(Path(files[stem]).absolute()) for stem in names],
            "format": "relion",
            "origin": "top-left",
        },
        "split": split_of(len(names), options.validation),
    }
    return training_config(dataset, options.epochs)


def training_config(dataset: dict[str, Any], epochs: int | None) -> dict[str, Any]:
    """Config of a training on one dataset; None is CRISP's default number of epochs."""
    training = {} if epochs is None else {"training": {"epochs": epochs}}
    return {
        "run": [f"{DATASET}/{EXPERIMENT}"],
        "datasets": {DATASET: dataset},
        "experiments": {EXPERIMENT: {**training, "particles": {"extract": False}}},
    }


def split_of(n_picked: int, validation: int | None, *, option: str = "--in_coords") -> dict[str, int]:
    """Numbers of training and validation micrographs.

    Parameters
    ----------
    n_picked : int
        Number of micrographs with coordinates.
    validation : int, optional
        Number of those that validate; None is a quarter.
    option : str
        Option that gave the micrographs, for the message.

    Raises
    ------
    UserError
        If no micrograph is left for the training.
    """
    n_validation = validation or max(1, n_picked // 4)
    if n_picked <= n_validation:
        raise UserError(
            f"{option}: {n_picked} micrographs have coordinates, but the training needs more than {n_validation}; "
            "pick more by hand"
        )
    return {"train": n_picked - n_validation, "validation": n_validation, "test": 0}


def with_coordinates(micrographs: Sequence[str], files: Sequence[str], format: str) -> list[str]:
    """Micrographs with coordinates, or with a file that cannot be read, as the workflow tells; all if there are none.

    Parameters
    ----------
    micrographs : sequence of str
        Paths of micrographs.
    files : sequence of str
        Paths or globs of coordinate files.
    format : str
        Format of these files, or auto.
    """
    sources, refused = with_listed_files(matching_files(files))
    tables, unread = read_each(sources, format, refined_pixel_size=None, least_score=None)
    stems = [micrograph_stem(path) for path in micrographs]
    labelled = set(matched_names(tables, sources, stems, required=False)["micrograph"])
    labelled |= {micrograph_stem(row.path) for row in [*refused, *unread]}
    return [path for path, stem in zip(micrographs, stems, strict=True) if stem in labelled] or list(micrographs)


def forget_parts(folder: Path, stems: Collection[str]) -> None:
    """Remove the parts of a continued job if it has new micrographs with coordinates, so that they are drawn again.

    Parameters
    ----------
    folder : Path
        Folder of the job.
    stems : collection of str
        Micrographs with coordinates.
    """
    drawn, batches = parts_file(DATASET, f"{folder}/"), places_file(DATASET, f"{folder}/")
    first = {stem for stem, place in recorded_places(DATASET, f"{folder}/").items() if place.addition == 0}
    if drawn.exists() and set(stems) - first:
        say("there are coordinates on more micrographs: the parts are drawn anew")
        drawn.unlink()
        batches.unlink(missing_ok=True)


def targets(options: argparse.Namespace) -> list[str]:
    """Targets of the workflow for the option --report."""
    return ["all"] if options.report == "yes" else list(TRAINED_FILES)


def train(options: argparse.Namespace) -> None:
    """Train a network from the coordinates of a manual-pick job."""
    micrographs, files = coordinates_of(picked_file(options.in_coords), options.in_mics)
    config = run_config(options, micrographs, files)
    check_network_link(options.o)
    write_config(options.o, config)
    forget_parts(options.o, micrographs.by_stem().keys() & files.keys())
    split = config["datasets"][DATASET]["split"]
    say(f"{split['train']} micrographs train, {split['validation']} choose epoch and threshold")
    run_workflow(options.o, options, targets=targets(options))
    link_network(options.o)
    if options.report == "yes":
        say(f"report: {options.o / RUN / 'report.html'}")
    say(f"pick with it: crisp_pick --network {options.o}")


def check_network_link(folder: Path) -> None:
    """Refuse a folder with a network of its own where the trained one would be linked."""
    link = folder / NETWORK
    if link.exists() and not link.is_symlink():
        raise UserError(
            f"{link}: is not of an earlier training, and would be replaced; move it, or give another folder"
        )


def link_network(folder: Path) -> None:
    """Link the trained network into the folder of its job."""
    link = folder / NETWORK
    link.unlink(missing_ok=True)
    link.symlink_to(f"{RUN}/{NETWORK}")


if __name__ == "__main__":
    sys.exit(run_as_job(parser(), train, sys.argv[1:]))
