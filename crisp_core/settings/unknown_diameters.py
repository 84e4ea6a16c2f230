"""Diameters that a config leaves to CRISP (`particle_diameter_angstrom: auto`): estimated once, before the plan.

The diameter decides the working pixel size of all jobs, so the plan needs it. The estimate is kept in
results/<dataset>/diameter.yaml; deleting that file makes a new one.
"""

import copy
import logging
import math
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from crisp_core.datasets.byproducts import without_byproducts
from crisp_core.datasets.pixel_sizes import equal_pixel_sizes
from crisp_core.errors import UserError
from crisp_core.paths import matching_files, some_of
from crisp_core.segmentation.shipped import DEFAULT_NETWORK, check_digest
from crisp_core.settings.checks import check_values, with_defaults, with_inheritance
from crisp_core.settings.inheritance import extended
from crisp_core.settings.questions import datasets_in_use

log = logging.getLogger("crisp")
AUTO = "auto"
KEY = "particle_diameter_angstrom"
# Micrographs among which the estimate chooses.
MOST_FILES = 10
# In place of a diameter (Å) that nothing asks for.
UNUSED = 150.0
AGAIN = "delete this file, so that CRISP estimates the diameter again"


def with_diameters(given: dict[str, Any], *, prefix: str = "", is_main: bool = True) -> dict[str, Any]:
    """Config with a number in place of every `particle_diameter_angstrom: auto`; other configs as they are.

    Parameters
    ----------
    given : dict
        Config of Snakemake, not yet validated.
    prefix : str
        Before results/, where another workflow imports this one with a prefix.
    is_main : bool
        Whether a missing estimate is made; a job's own process only reads it.

    Raises
    ------
    UserError
        If the estimate is not clear, the dataset has no micrographs or pixel size to estimate from, or the estimate is
        that of another pixel size or of other micrographs.
    """
    unknown = dict(unknown_diameters(given))
    if not unknown:
        return given
    check_values("config", given)
    settings = copy.deepcopy(given)
    for name in unknown:
        settings["datasets"][name][KEY] = UNUSED
    used = datasets_in_use(with_defaults(with_inheritance(settings)))
    for name, entry in unknown.items():
        path = Path(f"{prefix}results") / name / "diameter.yaml"
        if name not in used:
            continue
        if is_main and not path.exists():
            make_estimate(name, entry, path)
        elif is_main:
            check_current(path, entry)
        settings["datasets"][name][KEY] = read_estimate(path)
    for name, entry in settings["datasets"].items():
        if isinstance(entry, dict):  # also where it is False, since an entry inherits it
            entry["diameter_estimated"] = name in unknown
    return settings


def unknown_diameters(given: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Datasets whose diameter is auto, by name, with the keys that they inherit."""
    entries = given.get("datasets")
    if not isinstance(entries, dict):
        return
    for name in entries:
        entry = extended(entries, name, "datasets")
        if isinstance(entry, dict) and entry.get(KEY) == AUTO:
            yield name, entry


def check_current(path: Path, entry: Mapping[str, Any]) -> None:
    """Refuse the estimate of a file that was made at another pixel size, or from other micrographs than a dataset's.

    Parameters
    ----------
    path : Path
        File of `make_estimate`.
    entry : mapping
        Keys of the dataset.
    """
    facts = _read(path)
    before, now = facts.get("pixel_size"), entry.get("pixel_size")
    if isinstance(before, int | float) and isinstance(now, int | float) and not equal_pixel_sizes(before, now):
        raise UserError(f"{path}: was estimated at {before:g} Å/px, and pixel_size is {now:g} now; {AGAIN}")
    looked_at = {Path(file).absolute() for file in facts.get("micrographs") or ()}
    found = {Path(file).absolute() for file in matching_files(entry.get("micrographs") or [])}
    if not looked_at or not found or looked_at & found:
        return
    # files of the same names in another folder were moved, unless the old ones are still there
    moved = {file.name for file in looked_at} & {file.name for file in found}
    if not moved or any(file.exists() for file in looked_at):
        raise UserError(f"{path}: was estimated from other micrographs; {AGAIN}, or run CRISP in another folder")


def make_estimate(name: str, entry: dict[str, Any], path: Path) -> None:
    """Estimate the diameter of a dataset in a process of its own, since PyTorch is slow to import.

    Parameters
    ----------
    name : str
        Name of the dataset in the config.
    entry : dict
        Its keys, with those that it inherits.
    path : Path
        YAML file to write.
    """
    place = f"config, datasets/{name}"
    check_digest(DEFAULT_NETWORK)
    if not entry.get("micrographs") or not entry.get("pixel_size"):
        raise UserError(f"{place}/{KEY}: auto needs micrographs and pixel_size; give both, or the diameter in Å")
    if entry.get("micrographs_from_rules"):
        raise UserError(f"{place}/{KEY}: auto needs micrographs that exist before all rules; give the diameter in Å")
    files = without_byproducts(entry["micrographs"])
    if not files:
        raise UserError(f"{place}/micrographs: no file to estimate the diameter from; correct the pattern")
    log.warning("%s: estimating the particle diameter, which takes some minutes; it is saved in %s", place, path)
    command = [sys.executable, "-m", "crisp_core.picking.scales", *some_of(files, MOST_FILES)]
    options = ["--pixel-size", str(entry["pixel_size"]), "--output", str(path)]
    reason = run_showing([*command, *options])
    if reason is not None:
        raise UserError(f"{place}/{reason}" if reason.startswith(KEY) else f"{place}/{KEY}: {reason}")


def run_showing(command: Sequence[str]) -> str | None:
    """Run a command whose progress goes to the log line by line; the reason if it fails, which is its last line."""
    last = ""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr or ():
            # the reason is for the caller to tell
            if last:
                log.warning("%s", last)
            last = line.rstrip()
    if process.returncode:
        return last.removeprefix("error: ") or "no reason given"
    if last:
        log.warning("%s", last)
    return None


def read_estimate(path: Path) -> float:
    """Diameter in Å of a file of `make_estimate`."""
    if not path.exists():
        raise UserError(f"{path}: is missing; start the workflow again, which estimates the diameter")
    diameter = _read(path).get("diameter_angstrom")
    if not isinstance(diameter, int | float) or not 0 < diameter < math.inf:
        raise UserError(f"{path}: has no diameter_angstrom; {AGAIN}")
    return float(diameter)


def _read(path: Path) -> dict[str, Any]:
    try:
        facts = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError):
        raise UserError(f"{path}: is not a YAML file; {AGAIN}") from None
    return facts if isinstance(facts, dict) else {}
