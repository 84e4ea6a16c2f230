"""Options of the program `crisp`, with an example for each subcommand."""

import argparse
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

from crisp_core.cli import commands
from crisp_core.datasets.settings import Origin
from crisp_core.external.running import OneLineParser, at_least
from crisp_core.formats.coordinates.registry import FORMATS
from crisp_core.segmentation.shipped import DEFAULT_NETWORK

DESCRIPTION = """Pick particles in cryo-EM micrographs from the command line, without a config file.

Each subcommand writes a config file (crisp.yaml) into the folder --out and runs CRISP's workflow there, so its
results are those of the workflow. --show prints the config and the command instead."""

START = """start with:
  crisp pick data/*.mrc --diameter 150 --out picks/
  crisp report picks/

help on a subcommand: crisp pick --help"""

PICK = """example: pick all MRC files of a folder; the particle's longest extent is 150 Å
  crisp pick data/*.mrc --diameter 150 --out picks/

result: picks/results/micrographs/general/autopick.star for RELION, coordinates_only.star for cryoSPARC, cbox/ for
crYOLO. More micrographs later: the same command with all of them; only new ones are picked."""

TRAIN = """example: train on the boxes of eight micrographs, then pick with the trained network
  crisp train picked/*.mrc --coordinates picked/*.box --origin top-left --diameter 150 --out trained/
  crisp pick data/*.mrc --diameter 150 --network trained/ --out picks/

Every particle of these micrographs must be picked, since the rest of an image counts as background."""

PREDICT = """example: probability and class of every pixel, as one MRC file per micrograph each
  crisp predict data/*.mrc --diameter 150 --out maps/

result: maps/results/micrographs/general/maps/ and class_maps/"""

REPORT = """example: the page with the picks of an earlier crisp pick
  crisp report picks/

result: picks/results/report.html; open it in a browser"""

SNAKEFILE = """example: the default run in the present folder
  snakemake --snakefile "$(crisp snakefile)" --cores 8"""


def parser() -> argparse.ArgumentParser:
    """Options of all subcommands."""
    program = OneLineParser(prog="crisp", description=DESCRIPTION, epilog=START)
    subcommands = program.add_subparsers(title="subcommands", metavar="SUBCOMMAND", required=True)

    def subcommand(work: Callable[[argparse.Namespace], None], epilog: str) -> argparse.ArgumentParser:
        """Parser of one subcommand, which is named and described as its function."""
        summary = (work.__doc__ or "").splitlines()[0]
        added: argparse.ArgumentParser = subcommands.add_parser(
            work.__name__, help=summary, description=summary, epilog=epilog
        )
        added.set_defaults(work=work)
        return added

    add_pick_options(subcommand(commands.pick, PICK))
    add_train_options(subcommand(commands.train, TRAIN))
    add_pick_options(subcommand(commands.predict, PREDICT))
    report = subcommand(commands.report, REPORT)
    report.add_argument("out", metavar="FOLDER", type=Path, help="folder --out of crisp pick, train or predict")
    add_computer_options(report)
    subcommand(commands.snakefile, SNAKEFILE)
    return program


def add_pick_options(parser: argparse.ArgumentParser) -> None:
    """Add micrographs, diameter and network."""
    add_micrographs(parser)
    parser.add_argument(
        "--diameter", required=True, metavar="Å", help="longest extent of the particle in Å; auto estimates it"
    )
    parser.add_argument(
        "--network",
        default=DEFAULT_NETWORK,
        help="general (default), the folder --out of crisp train, or the file of a network (.pt)",
    )
    parser.add_argument("--threshold", type=share, help="minimum score, 0 to 1; default: the network's own threshold")
    add_run_options(parser)


def add_train_options(parser: argparse.ArgumentParser) -> None:
    """Add micrographs, their coordinates and the length of the training."""
    add_micrographs(parser)
    parser.add_argument(
        "--coordinates", required=True, nargs="+", metavar="FILE", help="one file per micrograph, or one for all"
    )
    parser.add_argument(
        "--format", choices=("auto", *FORMATS), default="auto", help="of the coordinates; default: by suffix and header"
    )
    parser.add_argument(
        "--origin",
        required=True,
        choices=get_args(Origin),
        help="whether y counts from the top or the bottom of the image file; it is checked against the images",
    )
    parser.add_argument("--diameter", required=True, type=positive, metavar="Å", help="longest extent, in Å")
    parser.add_argument("--validation", type=at_least(1), help="micrographs that choose the threshold; default: 1/4")
    parser.add_argument("--epochs", type=at_least(1), help="length of the training; default: that of CRISP")
    add_run_options(parser)


def add_micrographs(parser: argparse.ArgumentParser) -> None:
    """Add the micrographs and their pixel size."""
    parser.add_argument("micrographs", nargs="+", metavar="MICROGRAPH", help="MRC, TIFF, PNG or JPG files")
    parser.add_argument(
        "--pixel-size", type=positive, metavar="Å/PX", help="pixel size; default: that of the files' headers"
    )


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Add the folder of the results, further settings, and the computer."""
    parser.add_argument("--out", required=True, type=Path, help="folder of the results; it is created")
    parser.add_argument(
        "--settings", type=Path, help="config file with further settings; relative paths in it start at --out"
    )
    add_computer_options(parser)


def add_computer_options(parser: argparse.ArgumentParser) -> None:
    """Add the numbers of CPU cores and GPUs, and whether to run at all."""
    cores: dict[str, Any] = {"dest": "j", "type": at_least(1), "default": os.cpu_count() or 1}
    parser.add_argument("--cores", **cores, help="number of CPU cores; default: all")
    parser.add_argument("--gpu", help="GPUs such as 0 or 0:1, or none; default: those that PyTorch finds")
    parser.add_argument("--show", action="store_true", help="print config and command of the workflow, run nothing")


def positive(text: str) -> float:
    """Positive number of an option."""
    number = as_number(text)
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
    return number


def share(text: str) -> float:
    """Number from 0 to 1 of an option."""
    number = as_number(text)
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 1")
    return number


def as_number(text: str) -> float:
    """Number of an option; NaN if it is none, which every check of a range refuses."""
    try:
        return float(text)
    except ValueError:
        return math.nan
