"""Facts of a trained network apart from its weights: its input and its classes, readable without PyTorch.

A checkpoint is the zip archive that `torch.save` writes; the facts are one JSON entry more in it, so that the settings
can be checked against a network before any job starts.
"""

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from crisp_core.errors import UserError, opening
from crisp_core.geometry import angstrom_to_px
from crisp_core.preparation.enlargement import SIZE_TOLERANCE
from crisp_core.preparation.settings import PreparationSettings
from crisp_core.segmentation.settings import NetworkSettings

FACTS_NAME = "crisp.json"
FACTS_FORMAT = 2


class NetworkInput(NamedTuple):
    """Preparation of micrographs that a network expects; lengths are in working pixels, so they do not depend on Å/px.

    Attributes
    ----------
    diameter_px : float
        Longest extent of the particle, in working pixels. That of the training, or another one that suits the network
        better (`NetworkFacts.trained_diameter_px`).
    normalization : str
        Method, as the section preparation names it.
    highpass_px : float
        Width of the Gaussian whose blur is subtracted, in working pixels; 0 is off.
    """

    diameter_px: float
    normalization: str
    highpass_px: float


class NetworkFacts(NamedTuple):
    """Input, classes and settings of the network in a checkpoint.

    Attributes
    ----------
    classes : list of str
        Names of the channels, in order.
    input : NetworkInput
    network : NetworkSettings
        Section `network` of its settings.
    crf : dict or None
        Section `crf`, where it has one.
    versions : dict
        Versions of the libraries on which its results depend.
    start : dict or None
        Network from which its training started, with the SHA-256 of its file; None for random weights.
    trained_diameter_px : float or None
        Longest extent of the particle in training, in working pixels, if it differs from the input's `diameter_px`.
    """

    classes: list[str]
    input: NetworkInput
    network: NetworkSettings
    crf: dict[str, Any] | None = None
    versions: Mapping[str, str] = MappingProxyType({})
    start: dict[str, str] | None = None
    trained_diameter_px: float | None = None


def network_input(preparation: PreparationSettings, diameter_angstrom: float) -> NetworkInput:
    """Input of a network for a dataset with this preparation, whose working pixel size is set, and this particle."""
    pixel_size = preparation.working_pixel_size
    if pixel_size is None:
        raise ValueError("working_pixel_size is not set")
    return NetworkInput(
        round(angstrom_to_px(diameter_angstrom, pixel_size), 3),
        preparation.normalization,
        round(angstrom_to_px(preparation.highpass_angstrom, pixel_size), 3),
    )


def training_input(facts: NetworkFacts) -> NetworkInput:
    """Input of a network with particles as wide as in its training."""
    width = facts.trained_diameter_px
    return facts.input if width is None else facts.input._replace(diameter_px=width)


def input_difference(trained: NetworkInput, given: NetworkInput, *, diameter_angstrom: float) -> str | None:
    """First difference that makes a network useless for a dataset, with its cure; None if there is no such difference.

    Sizes may differ by `SIZE_TOLERANCE`.

    Parameters
    ----------
    trained : NetworkInput
        Diameter and high-pass in px, and normalization, of the images that the network expects.
    given : NetworkInput
        The same properties of the images to predict.
    diameter_angstrom : float
        Diameter of the particle to predict, in Å.
    """
    if not are_alike(trained.diameter_px, given.diameter_px):
        cure = diameter_angstrom / trained.diameter_px
        return (
            f"the network expects particles {trained.diameter_px:.3g} px wide, here they are "
            f"{given.diameter_px:.3g} px; set preparation/working_pixel_size to {cure:.3g}"
        )
    if trained.normalization != given.normalization:
        return (
            f"the network was trained with normalization {trained.normalization}, here it is {given.normalization}; "
            f"set preparation/normalization to {trained.normalization}"
        )
    if not are_alike(trained.highpass_px, given.highpass_px):
        cure = trained.highpass_px * diameter_angstrom / given.diameter_px
        return (
            f"the network was trained with a high-pass of {trained.highpass_px:.3g} px, here it is "
            f"{given.highpass_px:.3g} px; set preparation/highpass_angstrom to {cure:.3g}"
        )
    return None


def check_input(trained: NetworkInput, given: NetworkInput, *, path: str | Path, diameter_angstrom: float) -> None:
    """Refuse a network for images that look different from those it expects.

    Parameters
    ----------
    trained : NetworkInput
        Diameter and high-pass in px, and normalization, of the images that the network expects.
    given : NetworkInput
        The same properties of the images to predict.
    path : str or Path
        Checkpoint of the network, for the error message.
    diameter_angstrom : float
        Diameter of the particle to predict, in Å.

    Raises
    ------
    UserError
        Naming the first difference and its cure.
    """
    if difference := input_difference(trained, given, diameter_angstrom=diameter_angstrom):
        raise UserError(f"{path}: {difference}, or train again")


def are_alike(a: float, b: float) -> bool:
    """Whether two lengths differ by at most `SIZE_TOLERANCE` of the larger one."""
    return abs(a - b) <= SIZE_TOLERANCE * max(a, b)


def write_facts(path: str | Path, facts: NetworkFacts) -> None:
    """Add the facts to the archive that `torch.save` wrote; equal facts give equal bytes."""
    entry = {
        "format": FACTS_FORMAT,
        **facts._asdict(),
        "input": facts.input._asdict(),
        "network": facts.network.plain(),
        "versions": dict(facts.versions),
    }
    with zipfile.ZipFile(path, "a") as archive:
        # without a time stamp; PyTorch reads only archives with all entries in one folder
        archive.writestr(zipfile.ZipInfo(_entry_name(archive)), json.dumps(entry, sort_keys=True))


def read_facts(path: str | Path) -> NetworkFacts:
    """Read the facts of a checkpoint.

    Raises
    ------
    UserError
        If the file is missing, damaged, not a checkpoint of CRISP, or one of an earlier version.
    """
    try:
        with opening(path), zipfile.ZipFile(path) as archive:
            entry = json.loads(archive.read(_entry_name(archive)))
        if entry.pop("format") != FACTS_FORMAT:
            raise ValueError("format")
        own = {"input": NetworkInput(**entry["input"]), "network": NetworkSettings.of(entry["network"])}
        return NetworkFacts(**entry | own)
    except (zipfile.BadZipFile, OSError, KeyError, ValueError, TypeError, AttributeError, IndexError):
        raise UserError(f"{path}: not a network written by this version of CRISP, or damaged; train it again") from None


def _entry_name(archive: zipfile.ZipFile) -> str:
    return f"{archive.namelist()[0].split('/')[0]}/{FACTS_NAME}"
