"""RELION's Laplacian-of-Gaussian picker (`relion_autopick --LoG`), on whole micrographs and CPU.

Source: Zivanov et al. 2018, eLife 7:e42166; options of RELION 3.1.3. The defaults are those of its graphical interface,
but for the diameters.
"""

import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from crisp_core.errors import UserError
from crisp_core.formats.coordinates.registry import read_coordinates
from crisp_core.formats.images import read_micrograph, write_mrc
from crisp_core.pickers.running import joined, pick_together_or_alone
from crisp_core.programs import check_installed, run_program

PROGRAM = "relion_autopick"
INSTALL = "install RELION (Debian: apt install relion)"
# 150 and 180 Å, with which the tutorial of RELION 3 (EMPIAR-10204) picks beta-galactosidase, as shares of the 191 Å
# that examples/empiar-10017.yaml gives as that protein's diameter
BLOB_DIAMETERS = (0.785, 0.942)


def pick(
    micrographs: Mapping[str, str],
    *,
    folder: str | Path,
    pixel_size: float,
    diameter_angstrom: float,
    settings: Mapping[str, Any],
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Blobs that RELION finds.

    Parameters
    ----------
    micrographs : mapping of micrograph to path
        Whole micrographs of any format; RELION gets them as MRC.
    folder : str or Path
        Existing, empty folder for RELION's files.
    pixel_size : float
        Å/px of the micrographs.
    diameter_angstrom : float
        Particle diameter in Å.
    settings : mapping
        Section picker of an experiment with program relion-log.

    Returns
    -------
    picks : DataFrame
        micrograph, x, y (full-resolution pixels), score (figure of merit).
    failed : dict of str to str
        Reason by micrograph, of those that cannot be read any more or on which RELION fails.

    Raises
    ------
    UserError
        If RELION is missing or fails on every micrograph.
    """
    check_installed(PROGRAM, install=INSTALL)
    folder, gone, written = Path(folder).absolute(), {}, []
    for name, path in micrographs.items():
        try:
            image = read_micrograph(path, name=name, pixel_size=pixel_size).image
        except UserError as error:
            gone[name] = str(error)
            continue
        write_mrc(folder / f"{name}.mrc", image, pixel_size=pixel_size, dtype=np.float32)
        written.append(name)
    command = command_line(settings, pixel_size=pixel_size, diameter_angstrom=diameter_angstrom)
    found, failed = pick_together_or_alone(written, partial(_pick_written, command=command, folder=folder))
    return found, gone | failed


def _pick_written(names: Sequence[str], *, command: Sequence[str], folder: Path) -> pd.DataFrame:
    """Run RELION on some of the MRC files in `folder`."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        # RELION puts the path of a micrograph behind that of its output, so that both must be relative
        (Path(place) / "in").mkdir()
        for name in names:
            (Path(place) / "in" / f"{name}.mrc").symlink_to(folder / f"{name}.mrc")
        run_program(command, install=INSTALL, folder=place)
        stars = {name: Path(place) / "out/in" / f"{name}_autopick.star" for name in names}
        return joined(
            read_coordinates(star, format="relion", micrograph=name) for name, star in stars.items() if star.exists()
        )


def command_line(settings: Mapping[str, Any], *, pixel_size: float, diameter_angstrom: float) -> list[str]:
    """Command line for the micrographs in `in/`, with results in `out/`."""
    smallest, largest = (share * diameter_angstrom for share in BLOB_DIAMETERS)
    options = {
        "--i": "in/*.mrc",
        "--odir": "out/",
        "--pickname": "autopick",
        "--angpix": f"{pixel_size:g}",
        "--LoG_diam_min": f"{settings['diameter_min_angstrom'] or smallest:g}",
        "--LoG_diam_max": f"{settings['diameter_max_angstrom'] or largest:g}",
        "--LoG_adjust_threshold": f"{settings['threshold_adjustment']:g}",
        "--shrink": "0",
        "--lowpass": f"{settings['lowpass_angstrom']:g}",
    }
    words = [PROGRAM, "--LoG", *(word for option in options.items() for word in option)]
    return [*words, "--Log_invert"] if settings["white_particles"] else words
