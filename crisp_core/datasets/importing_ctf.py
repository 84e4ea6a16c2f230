"""CTF of a dataset from the user's file: matched with the micrographs, checked, in the row order of their files."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from crisp_core.ctf import (
    AMPLITUDE_CONTRAST,
    SPHERICAL_ABERRATION_MM,
    VOLTAGE_KV,
    angle_fault,
    defocus_fault,
)
from crisp_core.datasets.pixel_sizes import agreed_pixel_size, equal_pixel_sizes
from crisp_core.datasets.quarantine import Refused
from crisp_core.errors import UserError
from crisp_core.formats.coordinates.names import match_names, names_of_one_micrograph
from crisp_core.formats.mrc import MRC_SUFFIXES
from crisp_core.formats.relion_ctf import MicrographsCtf, read_ctf_sources, read_micrographs_ctf
from crisp_core.formats.relion_labels import CTF_LABELS, MICROSCOPE_LABELS, PHASE_COLUMN, PHASE_LABEL
from crisp_core.formats.tiff import TIFF_SUFFIXES

RANGES = {
    "rlnVoltage": (VOLTAGE_KV, "in kV"),
    "rlnSphericalAberration": (SPHERICAL_ABERRATION_MM, "in mm"),
    "rlnAmplitudeContrast": (AMPLITUDE_CONTRAST, "as a fraction"),
}
FAULTS = {
    "rlnDefocusU": defocus_fault,
    "rlnDefocusV": defocus_fault,
    "rlnDefocusAngle": angle_fault,
    PHASE_LABEL: angle_fault,
}


class ImportedCtf(NamedTuple):
    """CTF of a dataset's micrographs, the reason for each micrograph whose line is refused, and contradictions.

    `notices` are lines about contradictions of the file to the config, with the value that is used.
    """

    ctf: MicrographsCtf
    refused: dict[str, str]
    notices: list[str]


def import_ctf(
    path: str, micrographs: Mapping[str, str], *, pixel_size: float, origin: str | None = None, **microscope: float
) -> ImportedCtf:
    """Read the CTF of a dataset's micrographs, matched by name; micrographs without a line are left out.

    Parameters
    ----------
    path : str
        RELION's `micrographs_ctf.star`.
    micrographs : mapping of str to str
        Path of each micrograph, by stem.
    pixel_size : float
        Å/px of the micrographs.
    origin : str, optional
        Row order of the images that the CTF was estimated from; see `in_row_order`.
    **microscope : float
        voltage_kv, spherical_aberration_mm and amplitude_contrast, used where the file does not state them.

    Returns
    -------
    ImportedCtf
        CTF in the order of `micrographs`, with all optics groups of the file.

    Raises
    ------
    UserError
        If the file cannot be used, has no usable line for a micrograph of the dataset, or two lines for one.
    """
    given, sources = read_micrographs_ctf(path), read_ctf_sources(path)
    matched = _matched(path, given.micrographs["micrograph"].tolist(), list(micrographs))
    table = given.micrographs.loc[matched.index].assign(
        micrograph=matched["micrograph"], **sources.loc[matched.index, ["file", "pixel_size"]]
    )
    reference = agreed_pixel_size(table["pixel_size"], pixel_size)
    refused = _faults(path, table) | _other_pixel_sizes(path, table, reference)
    if len(refused) == len(table):
        raise UserError(f"{next(iter(refused.values()))} (this concerns all of {len(table)} micrographs)")
    _check_groups(path, given.groups)
    notices = _notices(path, given.groups, reference, pixel_size, microscope)
    usable = set(table["micrograph"]) - set(refused)
    known = [name for name in micrographs if name in usable]
    table = in_row_order(table.set_index("micrograph").loc[known].reset_index(), micrographs, origin, source=path)
    missing = {label: microscope[key] for label, key in MICROSCOPE_LABELS.items() if label not in given.groups}
    ctf = MicrographsCtf(table.drop(columns=["file", "pixel_size"]), given.groups.assign(**missing))
    return ImportedCtf(ctf, refused, notices)


def in_row_order(
    table: pd.DataFrame, micrographs: Mapping[str, str], origin: str | None, *, source: str
) -> pd.DataFrame:
    """CTF with its angle from the x axis towards the following rows of the micrograph's file.

    Parameters
    ----------
    table : pd.DataFrame
        Columns micrograph, defocus_angle_deg, and file: the image from which the CTF was estimated.
    micrographs : mapping of str to str
        Path of each micrograph, by stem.
    origin : str, optional
        top-left: those images have the rows of the micrographs' files. bottom-left: their first row is the files' last
        one, so that an angle changes its sign. None: top-left where both are MRC and bottom-left where both are TIFF,
        because RELION, CTFFIND, MotionCor2 and IMOD read TIFF from its last row on.
    source : str
        The CTF file, for the message.

    Raises
    ------
    UserError
        If `origin` is not given, and an image and its micrograph are not of one format.

    References
    ----------
    RELION documentation, "Conventions: image formats"; cisTEM (CTFFIND) source, tiff_file.cpp.
    """
    files = zip(table["file"], table["micrograph"], strict=True)
    flipped = [_upside_down(file, micrographs[name], origin, source) for file, name in files]
    angle = table["defocus_angle_deg"].to_numpy(dtype=float)
    return table.assign(defocus_angle_deg=np.where(np.array(flipped, dtype=bool), -angle, angle))


def without_ctf(
    micrographs: Mapping[str, str], ctf: MicrographsCtf, reasons: Mapping[str, str], *, source: str
) -> list[Refused]:
    """Rows of the quarantine table for micrographs without a usable line in the CTF file.

    Parameters
    ----------
    micrographs : mapping of str to str
        Path of each micrograph, by stem.
    ctf : MicrographsCtf
        Usable lines.
    reasons : mapping of str to str
        Reason for each refused line, by stem.
    source : str
        The CTF file, for the message.
    """
    absent = f"{source}: has no line for it, so its picks give no particle images; estimate its CTF, or leave it out"
    known = set(ctf.micrographs["micrograph"])
    return [Refused(path, "ctf", reasons.get(name, absent)) for name, path in micrographs.items() if name not in known]


def _matched(path: str, names: list[str], micrographs: list[str]) -> pd.DataFrame:
    try:
        matched = match_names(names, micrographs)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    matched = matched[matched["micrograph"] != ""]
    if matched.empty:
        raise UserError(f"{path}: has no line for any micrograph; give the star file of RELION's CTF job")
    for micrograph, several in names_of_one_micrograph(matched).items():
        raise UserError(f"{path}: {several} both match micrograph {micrograph}; remove one line")
    return matched


def _faults(path: str, table: pd.DataFrame) -> dict[str, str]:
    """Reason by micrograph, for each with an impossible CTF."""
    columns = CTF_LABELS | {PHASE_LABEL: PHASE_COLUMN}
    refused: dict[str, str] = {}
    for label, fault in FAULTS.items():
        for name, value in zip(table["micrograph"], table.get(columns[label], ()), strict=False):
            reason = fault(float(value))
            if reason is not None:
                refused.setdefault(name, f"{path}: {label} of {name} {reason}")
    return refused


def _other_pixel_sizes(path: str, table: pd.DataFrame, reference: float | None) -> dict[str, str]:
    """Reason by micrograph, for each whose pixel size in the file differs from that of the others."""
    rows = zip(table["micrograph"], table["pixel_size"], strict=True)
    return {
        name: f"{path}: says pixels of {size:g} Å for {name} and of {reference:g} Å for others; put micrographs of "
        "another pixel size into a dataset of their own"
        for name, size in rows
        if reference is not None and np.isfinite(size) and not equal_pixel_sizes(size, reference)
    }


def _check_groups(path: str, groups: pd.DataFrame) -> None:
    for label in [label for label in RANGES if label in groups]:
        (low, high), unit = RANGES[label]
        wrong = groups.loc[~groups[label].between(low, high), label]
        if len(wrong):
            raise UserError(f"{path}: {label} is {wrong.iloc[0]:g}; give it {unit}, between {low:g} and {high:g}")


def _notices(
    path: str, groups: pd.DataFrame, reference: float | None, pixel_size: float, microscope: Mapping[str, float]
) -> list[str]:
    notices = []
    if reference is not None and not equal_pixel_sizes(reference, pixel_size):
        notices.append(
            f"{path}: says pixels of {reference:g} Å, the config's pixel_size is {pixel_size:g} Å, which is used; "
            "check that the micrographs are those that the CTF was estimated from, or binned ones"
        )
    for label, key in MICROSCOPE_LABELS.items():
        others = _different(groups.get(label, ()), microscope[key])
        if others:
            values = " and ".join(f"{value:g}" for value in others)
            notices.append(
                f"{path}: {label} is {values}, the config's {key} is {microscope[key]:g}; the particles carry the "
                "file's, correct the wrong one"
            )
    return notices


def _different(values: Iterable[float], expected: float) -> list[float]:
    return sorted({value for value in values if not np.isclose(value, expected, rtol=1e-3, atol=1e-6)})


def _upside_down(file: str, micrograph: str, origin: str | None, source: str) -> bool:
    """Whether the image `file` has the rows of `micrograph` in reverse order; '' is a simulated micrograph."""
    if origin is not None:
        return origin == "bottom-left"
    kinds = [Path(path or ".mrc.mrc").suffix.lower() for path in (file, micrograph)]
    for suffixes, upside_down in ((MRC_SUFFIXES, False), (TIFF_SUFFIXES, True)):
        if all(kind in suffixes for kind in kinds):
            return upside_down
    raise UserError(
        f"{source}: its CTF was estimated on {file}, whose rows may be in another order than those of {micrograph}; "
        "set ctf_origin to top-left if both files have the same first row, to bottom-left if one is upside down"
    )
