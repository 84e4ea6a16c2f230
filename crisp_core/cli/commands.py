"""Subcommands of the program `crisp`: each writes a config and runs the workflow with it."""

import argparse
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from crisp_core import installation
from crisp_core.datasets.byproducts import find_byproducts, without_byproducts
from crisp_core.errors import UserError
from crisp_core.external import pick as picking
from crisp_core.external import train as training
from crisp_core.external.job_folder import locked
from crisp_core.external.micrograph_list import MicrographList
from crisp_core.external.outputs import LIST
from crisp_core.external.running import CONFIG, run_workflow, say, workflow_command, write_config
from crisp_core.formats.relion_autopick import read_coordinate_list
from crisp_core.formats.stems import micrograph_stem
from crisp_core.paths import check_patterns
from crisp_core.plan.additions import recorded_places
from crisp_core.settings.command_line import pixel_size_of

# copy of the file --settings, so that `crisp report` runs with the same settings
SETTINGS = "crisp-settings.yaml"


def pick(options: argparse.Namespace) -> None:
    """Pick particles with the general network, or with a network of crisp train."""
    config = picking.run_config(options, MicrographList(chosen_files(options.micrographs, options.out), None))
    if run(options, config, targets=["picks", *picking.QUARANTINES]):
        tell_refused(options.out)
        picks, run_folder = picking.read_picks(options.out), options.out / picking.RUN
        listed = set(read_coordinate_list(run_folder / LIST).values())
        say(f"{picks['micrograph'].isin(listed).sum()} picks on {len(listed)} micrographs: {run_folder / LIST}")
        picking.tell_diameter(options.out, options.diameter)
        say(f"look at them: crisp report {shlex.quote(str(options.out))}")


def predict(options: argparse.Namespace) -> None:
    """Write maps of the particle's probability and of the classes."""
    config = picking.run_config(options, MicrographList(chosen_files(options.micrographs, options.out), None))
    if run(options, config, targets=["maps", *picking.QUARANTINES]):
        tell_refused(options.out)
        picking.tell_diameter(options.out, options.diameter)
        say(f"maps: {options.out / picking.RUN / 'maps'}, classes: {options.out / picking.RUN / 'class_maps'}")


def train(options: argparse.Namespace) -> None:
    """Train a network on micrographs with coordinates."""
    patterns = absolute(chosen_files(options.micrographs, options.out))
    check_patterns("MICROGRAPH", patterns, must_exist=True)
    micrographs = without_byproducts(patterns)
    picked = training.with_coordinates(micrographs, absolute(options.coordinates), options.format)
    if len(picked) < len(micrographs):
        say(f"{len(micrographs) - len(picked)} of {len(micrographs)} micrographs have no coordinates and are left out")
    dataset = {
        "micrographs": patterns if len(picked) == len(micrographs) else picked,
        "pixel_size": options.pixel_size or pixel_size_of(patterns),
        "particle_diameter_angstrom": options.diameter,
        "coordinates": {
            "files": absolute(options.coordinates),
            "format": options.format,
            "origin": options.origin,
        },
        "split": training.split_of(len(picked), options.validation, option="MICROGRAPH"),
    }
    config = training.training_config(dataset, options.epochs)

    def prepare() -> None:
        """Make room for the results."""
        training.check_network_link(options.out)
        training.forget_parts(options.out, {micrograph_stem(path) for path in picked})

    if run(options, config, targets=training.TRAINED_FILES, before=prepare):
        training.link_network(options.out)
        say(f"pick with it: crisp pick … --network {shlex.quote(str(options.out))}")


def report(options: argparse.Namespace) -> None:
    """Make the report page of an earlier crisp pick, train or predict."""
    if not (options.out / CONFIG).is_file():
        raise UserError(
            f"{options.out / CONFIG}: no such file; give the folder --out of crisp pick, crisp train or crisp predict"
        )
    kept = options.out / SETTINGS
    options.settings = kept if kept.is_file() else None
    if options.show:
        show(options, yaml.safe_load((options.out / CONFIG).read_text()), ["all"])
        return
    with locked(options.out):
        run_workflow(options.out, options, targets=["all"])
    say(f"report: {options.out / 'results/report.html'}")


def snakefile(options: argparse.Namespace) -> None:
    """Print the path of CRISP's Snakefile, for `snakemake --snakefile` and for modules of other workflows."""
    print(installation.snakefile())


def absolute(paths: Sequence[str]) -> list[str]:
    """Paths or globs of the command line, as the workflow finds them from another folder."""
    return [str(Path(path).expanduser().absolute()) for path in paths]


def chosen_files(paths: Sequence[str], folder: Path) -> list[str]:
    """Paths or globs of the command line without by-products, such as power spectra, which are printed.

    The shell expands `data/*.mrc`, so a path among several may be a by-product; a single path is always used.

    Parameters
    ----------
    paths : sequence of str
        Paths or globs.
    folder : Path
        Folder --out, whose micrographs of earlier calls stay.
    """
    files = [path for path in paths if Path(path).is_file()] if len(paths) > 1 else []
    gone = find_byproducts(files, known=recorded_places(training.DATASET, f"{folder}/"))
    for path, reason in gone.items():
        say(f"left out: {path}: {reason.replace('name its exact path', 'give it alone')}")
    return [path for path in paths if path not in gone]


def run(
    options: argparse.Namespace,
    config: Mapping[str, Any],
    *,
    targets: Sequence[str],
    before: Callable[[], None] = lambda: None,
) -> bool:
    """Run the workflow in the folder --out, or print how to.

    Parameters
    ----------
    options : Namespace
        Options of a subcommand.
    config : mapping
        Config of the run.
    targets : sequence of str
        Targets of the workflow.
    before : function
        What to do in the folder once no other job can run in it.

    Returns
    -------
    bool
        Whether it ran.
    """
    folder: Path = options.out
    if options.show:
        show(options, config, targets)
        return False
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--out: {folder} is a file; give a folder")
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        options.settings = keep_settings(folder, options.settings)
        before()
        write_config(folder, config)
        run_workflow(folder, options, targets=targets)
    return True


def show(options: argparse.Namespace, config: Mapping[str, Any], targets: Sequence[str]) -> None:
    """Print the config and the command that runs the workflow.

    Parameters
    ----------
    options : Namespace
        Options of a subcommand.
    config : mapping
        Config of the run.
    targets : sequence of str
        Targets of the workflow.
    """
    command, _ = workflow_command(options, targets)
    print(f"# {options.out / CONFIG}\n{yaml.safe_dump(dict(config), sort_keys=False)}")
    print(f"# in {options.out}\n{shlex.join(command)}")


def keep_settings(folder: Path, given: Path | None) -> Path | None:
    """Copy the file of the option --settings into the folder of the results; return the copy.

    Raises
    ------
    UserError
        If it is not a file.
    """
    copy = folder / SETTINGS
    if given is None:
        copy.unlink(missing_ok=True)
        return None
    if not given.is_file():
        raise UserError(f"--settings: {given} is not a file; give a config file, or leave it out")
    copy.write_bytes(given.read_bytes())
    return copy


def tell_refused(folder: Path) -> None:
    """Print the micrographs that could not be picked, with the reason."""
    for row in picking.read_refused(folder).itertuples():
        say(f"not picked: {row.path}: {row.reason}")
