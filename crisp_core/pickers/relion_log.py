"""RELION's Laplacian-of-Gaussian picker (`relion_autopick --LoG`), on whole micrographs and CPU.

Source: Zivanov et al. 2018, eLife 7:e42166; options of RELION 3.1.3. The defaults are those of its graphical interface,
except the diameters.
"""

import logging
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal, Self

import numpy as np
import pandas as pd
from pydantic import model_validator

from crisp_core.errors import UserError
from crisp_core.formats.coordinates.registry import read_coordinates
from crisp_core.formats.images import read_micrograph
from crisp_core.formats.mrc import write_mrc
from crisp_core.pickers.picker import Batch, Found, Leak, Picker
from crisp_core.pickers.running import joined, pick_together_or_alone
from crisp_core.programs import check_installed, run_program
from crisp_core.sections import Positive, mistake

log = logging.getLogger("crisp")
PROGRAM = "relion_autopick"
INSTALL = "install RELION (Debian: apt install relion)"
# 150 and 180 Å, with which the tutorial of RELION 3 (EMPIAR-10204) picks beta-galactosidase, as shares of the 191 Å
# that examples/empiar-10017.yaml gives as that protein's diameter
BLOB_DIAMETERS = (0.785, 0.942)


class RelionLog(Picker):
    """Laplacian-of-Gaussian picker of RELION."""

    program: Literal["relion-log"] = "relion-log"
    """Name of the program."""

    diameter_min_angstrom: Positive | None = None
    """Diameter of the smallest blob in Å; null is 0.785 particle diameters."""

    diameter_max_angstrom: Positive | None = None
    """Diameter of the largest blob in Å; null is 0.942 particle diameters."""

    threshold_adjustment: float = 0.0
    """Change of RELION's own threshold (--LoG_adjust_threshold); a negative value finds more candidates."""

    lowpass_angstrom: Positive = 20.0
    """Resolution of the low pass of the micrograph, in Å."""

    white_particles: bool = False
    """Whether particles are brighter than their surroundings."""

    leak: Leak = False
    """Whether the picker was trained on micrographs of this dataset; tables show it."""

    whole_micrographs: ClassVar[bool] = True

    @model_validator(mode="after")
    def check_diameters(self) -> Self:
        """Refuse a smallest blob that is larger than the largest."""
        low, high = self.diameter_min_angstrom, self.diameter_max_angstrom
        if low is not None and high is not None and low > high:
            raise mistake(f"diameter_min_angstrom {low:g} is more than diameter_max_angstrom {high:g}; exchange them")
        return self

    def pick(self, batch: Batch) -> Found:
        """Blobs that RELION finds, with its figure of merit as score.

        Raises
        ------
        UserError
            If RELION is missing or fails on every one of several micrographs, or the smallest blob is larger than the
            largest, by default or as given.
        """
        check_installed(PROGRAM, install=INSTALL)
        folder = Path(batch.folder).absolute()
        written, gone = write_whole_micrographs(batch, folder)
        command = self.command_line(pixel_size=batch.pixel_size, diameter_angstrom=batch.diameter_angstrom)
        found, failed = pick_together_or_alone(written, partial(_pick_written, command=command, folder=folder))
        return Found(found, gone | failed)

    def command_line(self, *, pixel_size: float, diameter_angstrom: float) -> list[str]:
        """Command line for the micrographs in `in/`, with results in `out/`; pixel size in Å/px, diameter in Å."""
        smallest, largest = (share * diameter_angstrom for share in BLOB_DIAMETERS)
        smallest, largest = self.diameter_min_angstrom or smallest, self.diameter_max_angstrom or largest
        if smallest > largest:
            raise UserError(
                f"picker relion-log: its smallest blob, {smallest:g} Å, is larger than its largest, {largest:g} Å (one "
                "that is not given follows from the particle diameter); give both, diameter_min_angstrom and "
                "diameter_max_angstrom"
            )
        options = {
            "--i": "in/*.mrc",
            "--odir": "out/",
            "--pickname": "autopick",
            "--angpix": f"{pixel_size:g}",
            "--LoG_diam_min": f"{smallest:g}",
            "--LoG_diam_max": f"{largest:g}",
            "--LoG_adjust_threshold": f"{self.threshold_adjustment:g}",
            "--shrink": "0",
            "--lowpass": f"{self.lowpass_angstrom:g}",
        }
        words = [PROGRAM, "--LoG", *(word for option in options.items() for word in option)]
        return [*words, "--Log_invert"] if self.white_particles else words


def write_whole_micrographs(batch: Batch, folder: Path) -> tuple[list[str], dict[str, str]]:
    """Write the whole micrographs as MRC into a folder; returns their names, and the reason for unreadable ones."""
    written, gone = [], {}
    for name, path in batch.whole().items():
        try:
            image = read_micrograph(path, name=name, pixel_size=batch.pixel_size).image
        except UserError as error:
            gone[name] = str(error)
            continue
        write_mrc(folder / f"{name}.mrc", image, pixel_size=batch.pixel_size, dtype=np.float32)
        written.append(name)
    return written, gone


def _pick_written(names: Sequence[str], *, command: Sequence[str], folder: Path) -> pd.DataFrame:
    """Run RELION on some of the MRC files in `folder`."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        # RELION puts the path of a micrograph behind that of its output, so that both must be relative; and it takes
        # a name that begins with job001 for that of a job
        (Path(place) / "in").mkdir()
        stars = {}
        for number, name in enumerate(names):
            (Path(place) / "in" / f"m{number:06d}.mrc").symlink_to(folder / f"{name}.mrc")
            stars[name] = Path(place) / "out/in" / f"m{number:06d}_autopick.star"
        try:
            run_program(command, install=INSTALL, folder=place)
        except UserError as error:
            # RELION 3.1.3 crashes after its last micrograph if it has found nothing on any
            if not all(star.exists() for star in stars.values()):
                raise
            log.warning("%s, but after it had written all its picks", error)
        without = [name for name, star in stars.items() if not star.exists()]
        if without:
            raise UserError(f"{PROGRAM} wrote no picks of {without[0]}; its command and output are in the log")
        # a file without a byte where it has found nothing
        filled = {name: star for name, star in stars.items() if star.stat().st_size}
        return joined(read_coordinates(star, format="relion", micrograph=name) for name, star in filled.items())
