"""An external job of cryoSPARC: what its exposures say about the micrographs, and the picks that it gives back.

Source: cryosparc-tools 5, `ExternalJobController` and `Dataset`. The server states the fields of an output.
"""

from pathlib import Path
from typing import Any

import numpy as np

from crisp_core.errors import UserError
from crisp_core.formats.cryosparc_picks import EXPOSURE_FIELDS, PIXEL_SIZE_FIELD
from crisp_core.formats.cs_files import read_cs, text_field

CURE = "connect an output of exposures with micrograph_blob, such as those of Patch CTF or Curate Exposures"
# keys of a dataset, and the fields that may have their value
MICROSCOPE_FIELDS = {
    "voltage_kv": ("mscope_params/accel_kv", "ctf/accel_kv"),
    "spherical_aberration_mm": ("mscope_params/cs_mm", "ctf/cs_mm"),
    "amplitude_contrast": ("ctf/amp_contrast",),
}


def exposures_entry(exposures: str | Path, *, project: str | Path) -> dict[str, Any]:
    """Keys of a dataset in the config that the exposures of a cryoSPARC job give.

    Parameters
    ----------
    exposures : str or Path
        The .cs file of the exposures.
    project : str or Path
        Directory of the cryoSPARC project, from which the paths in the file start.

    Returns
    -------
    dict
        micrographs, pixel_size (Å/px), exposures; voltage_kv, spherical_aberration_mm and amplitude_contrast where the
        file has them.

    Raises
    ------
    UserError
        If there are no exposures, a field is missing, or the exposures differ in one of the values.
    """
    rows = read_cs(exposures, (*EXPOSURE_FIELDS, PIXEL_SIZE_FIELD), cure=CURE)
    if not len(rows):
        raise UserError(f"{exposures}: has no exposures; {CURE}")
    names = rows.dtype.names or ()
    fields = {key: next((name for name in given if name in names), None) for key, given in MICROSCOPE_FIELDS.items()}
    values = {key: _agreed(exposures, rows, field) for key, field in fields.items() if field is not None}
    return {
        "micrographs": [str(Path(project) / path) for path in text_field(rows, "micrograph_blob/path")],
        "pixel_size": _agreed(exposures, rows, PIXEL_SIZE_FIELD),
        "exposures": str(exposures),
        **values,
    }


def _agreed(exposures: str | Path, rows: np.ndarray, field: str) -> float:
    """Value of a field that all exposures share."""
    values = np.unique(rows[field].astype(float).round(4))
    if len(values) > 1:
        raise UserError(
            f"{exposures}: {field} is {values[0]:g} in some exposures and {values[1]:g} in others; pick them in two "
            "jobs"
        )
    return float(values[0])


def fill_output(output: Any, picks: np.ndarray) -> list[str]:
    """Copy picks into the output of an external job, field by field.

    Parameters
    ----------
    output : cryosparc.dataset.Dataset
        Rows that `ExternalJobController.alloc_output` made for these picks, with the fields that the server demands.
    picks : np.ndarray
        Structured array of a file of `write_picks`.

    Returns
    -------
    list of str
        Fields that the server demands and the picks lack; they keep the server's values, 0 or empty.

    Raises
    ------
    UserError
        If a field has another type or shape in the output than in the picks.
    """
    missing = []
    for name, kind, *shape in output.descr():
        if name not in (picks.dtype.names or ()):
            missing.append(name)
        else:
            _check_type(name, np.dtype((kind, shape[0] if shape else ())), picks.dtype[name])
            output[name] = [path.decode() for path in picks[name]] if kind == "|O" else picks[name]
    return missing


def _check_type(name: str, demanded: np.dtype, given: np.dtype) -> None:
    texts = demanded.kind == "O" and given.kind == "S"
    if demanded != given and not texts:
        raise UserError(
            f"cryoSPARC: {name} is {demanded} in this version and {given} in CRISP's picks; import "
            "cryosparc/picks.csg instead (Import Result Group)"
        )
