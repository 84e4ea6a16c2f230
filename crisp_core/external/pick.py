"""Program crisp_pick: particles of RELION's micrographs, as an External job of RELION.

Start it from the folder of the RELION project. It runs the workflow in the job's folder, with the config that
`settings.command_line` makes of micrographs and a diameter.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from crisp_core.datasets.quarantine import Refused, read_unpicked
from crisp_core.errors import UserError
from crisp_core.external.micrograph_list import MicrographList, read_micrograph_list
from crisp_core.external.outputs import LIST, write_output_nodes, write_picks
from crisp_core.external.running import (
    OneLineParser,
    add_answer,
    add_job_options,
    run_as_job,
    run_workflow,
    say,
    write_config,
)
from crisp_core.external.train import is_network_of_job, trained_folder
from crisp_core.formats.relion_autopick import read_coordinate_list
from crisp_core.formats.relion_coordinates import read_coordinates_stars
from crisp_core.formats.relion_labels import NAME_LABEL
from crisp_core.formats.star import write_blocks
from crisp_core.formats.stems import micrograph_stem
from crisp_core.plan.additions import recorded_places
from crisp_core.segmentation.shipped import DEFAULT_NETWORK, SHIPPED_NETWORKS
from crisp_core.settings.command_line import AUTO, DATASET, EXPERIMENT
from crisp_core.settings.unknown_diameters import read_estimate

MASKS = "masks.star"
RUN = f"results/{DATASET}/{EXPERIMENT}"
QUARANTINES = (f"results/{DATASET}/quarantine.tsv", f"{RUN}/quarantine.tsv")


def parser() -> argparse.ArgumentParser:
    """Options of crisp_pick."""
    options = OneLineParser(prog="crisp_pick", description=__doc__ or "")
    add_job_options(options)
    options.add_argument("--in_mics", required=True, help="star file of micrographs, such as of a CtfFind job")
    options.add_argument("--diameter", required=True, help="longest extent of the particle in Å; auto estimates it")
    options.add_argument(
        "--network",
        default=DEFAULT_NETWORK,
        help="general (default), the folder of a crisp_train job, or the file of a network (.pt)",
    )
    options.add_argument("--threshold", type=float, help="minimum score, 0 to 1; default: the network's own threshold")
    options.add_argument("--pixel_size", type=float, help="Å/px; default: that of the star file or of the headers")
    add_answer(options, "--masks", default="no", help="yes: also a mask of classes and a map of probabilities each")
    add_answer(options, "--report", default="yes", help="no: picks alone, without report and sizes, which is faster")
    return options


def run_config(options: argparse.Namespace, micrographs: MicrographList) -> dict[str, Any]:
    """Config of the run: the keys of a run without a config file, and the settings that the options change.

    Parameters
    ----------
    options : Namespace
        Options of crisp_pick.
    micrographs : MicrographList
        Micrographs to pick.

    Raises
    ------
    UserError
        If --diameter is not a number, or a network file comes without --threshold.
    """
    size = micrographs.pixel_size if options.pixel_size is None else options.pixel_size
    config: dict[str, Any] = {
        "micrographs": [str(Path(name).absolute()) for name in micrographs.names],
        "diameter_angstrom": diameter(options.diameter),
        "experiments": {EXPERIMENT: experiment_settings(options.network, options.threshold)},
    }
    return config if size is None else config | {"pixel_size": size}


def diameter(text: str) -> float | str:
    """Diameter in Å that an option gives, or auto."""
    try:
        return AUTO if text == AUTO else float(text)
    except ValueError:
        raise UserError(f"--diameter: {text!r} is not a number; give Å such as 150, or auto") from None


def experiment_settings(network: str, threshold: float | None) -> dict[str, Any]:
    """Settings of the experiment for the options --network and --threshold."""
    settings: dict[str, Any] = {} if threshold is None else {"centers": {"threshold": threshold}}
    path = Path(network)
    # a folder of that name, perhaps that of earlier picks, is ./general
    if network in SHIPPED_NETWORKS:
        return settings | {"network": network}
    if path.is_dir() or is_network_of_job(path):
        job = path if path.is_dir() else path.parent
        return settings | {"trained": str(trained_folder(job).absolute())}
    if not path.is_file():
        # a name, which the config checks
        return settings | {"network": network}
    if threshold is None:
        raise UserError(f"--network: {network} is a file without a threshold of its own; give --threshold, such as 0.5")
    return settings | {"network": str(path.absolute())}


def pick(options: argparse.Namespace) -> None:
    """Pick the micrographs of RELION's list, and write the picks and the output nodes."""
    folder = options.o
    micrographs = read_micrograph_list(options.in_mics)
    write_config(folder, run_config(options, micrographs))
    say(f"{len(micrographs.names)} micrographs of {options.in_mics}")
    run_workflow(folder, options, targets=targets(options))
    names = picked_names(folder, micrographs)
    picks = read_picks(folder)
    picks = picks[picks["micrograph"].isin(names)]
    write_picks(folder, picks, names, micrographs_star=options.in_mics)
    write_masks(folder, names)
    write_output_nodes(folder, Path())
    say(f"{len(picks)} picks on {len(names)} micrographs: {folder / LIST}")
    tell_diameter(folder, options.diameter)
    if options.report == "yes":
        say(f"report: {folder / RUN / 'report.html'}")


def tell_diameter(folder: Path, given: str) -> None:
    """Print the diameter that the run in a folder estimated, if --diameter was given as auto."""
    if given == AUTO:
        say(f"estimated diameter: {read_estimate(folder / f'results/{DATASET}/diameter.yaml'):.0f} Å")


def targets(options: argparse.Namespace) -> list[str]:
    """Targets of the workflow for the options --report and --masks."""
    wanted = ["all"] if options.report == "yes" else ["picks", *QUARANTINES]
    return wanted + (["maps"] if options.masks == "yes" else [])


def read_picks(folder: Path) -> pd.DataFrame:
    """Picks of the run in a job's folder, of recorded batches alone.

    A recorded batch without a file belongs to an earlier call on other micrographs.
    """
    batches = sorted({place.batch for place in recorded_places(DATASET, f"{folder}/").values()})
    paths = [folder / RUN / f"picks/{batch:04d}.star" for batch in batches]
    return read_coordinates_stars(path for path in paths if path.exists())


def read_refused(folder: Path) -> pd.DataFrame:
    """Micrographs that the run in a job's folder could not pick: columns path and reason.

    Other rows of the quarantine concern particle images and labels alone, such as a micrograph without CTF.
    """
    return pd.DataFrame(read_unpicked(*(folder / path for path in QUARANTINES)), columns=Refused._fields)


def picked_names(folder: Path, micrographs: MicrographList) -> dict[str, str]:
    """Micrographs that the run could pick and did not exclude, by stem, with their names in RELION.

    The others are printed.

    Parameters
    ----------
    folder : Path
        Folder of the job.
    micrographs : MicrographList
        Micrographs of RELION's list.
    """
    refused = read_refused(folder)
    reasons = dict(zip(map(micrograph_stem, refused["path"]), refused["reason"], strict=True))
    names = micrographs.by_stem()
    # the run's own list lacks micrographs that its curation excludes
    listed = set(read_coordinate_list(folder / RUN / LIST).values())
    reasons |= dict.fromkeys(names.keys() - listed - reasons.keys(), "is excluded by the settings of curation")
    for stem in sorted(names.keys() & reasons.keys()):
        say(f"not picked: {names[stem]}: {reasons[stem]}")
    return {stem: name for stem, name in names.items() if stem not in reasons}


def write_masks(folder: Path, names: dict[str, str]) -> None:
    """List the masks of classes and the maps of probabilities, if the run made them; `names` is by stem."""
    paths = {stem: [(folder / RUN / kind / f"{stem}.mrc") for kind in ("class_maps", "maps")] for stem in names}
    rows = [(*map(Path.as_posix, paths[stem]), name) for stem, name in names.items() if paths[stem][0].exists()]
    if rows:
        table = pd.DataFrame(rows, columns=["rlnImageName", "crispProbabilityMap", NAME_LABEL], dtype="str")
        write_blocks(folder / MASKS, {"masks": table})


if __name__ == "__main__":
    sys.exit(run_as_job(parser(), pick, sys.argv[1:]))
