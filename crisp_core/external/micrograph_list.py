"""List of micrographs that RELION gives a job, and the files that belong to each of them.

RELION 3.1 finds the coordinates of a micrograph by its name alone: the part after the first folder like `job003/`,
without the file's suffix, in the folder of the picking job.

Source: RELION 3.1 and 5 source, `filename.cpp` and `preprocessing.cpp`.
"""

import re
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
import pandas as pd

from crisp_core.datasets.exported import is_mrc
from crisp_core.datasets.pixel_sizes import equal_pixel_sizes
from crisp_core.errors import UserError
from crisp_core.formats.relion_labels import NAME_LABEL
from crisp_core.formats.relion_pixel_sizes import pixel_size_of_micrographs
from crisp_core.formats.star import as_table, read_blocks
from crisp_core.formats.stems import micrograph_stem

OF_A_JOB = re.compile(r"^.*?(?:^|/)job\d{3,}/")


class MicrographList(NamedTuple):
    """Names of micrographs as RELION writes them, relative to its project, and their pixel size in Å/px if stated."""

    names: list[str]
    pixel_size: float | None

    def by_stem(self) -> dict[str, str]:
        """Names by stem, the name that CRISP gives a micrograph."""
        return {micrograph_stem(name): name for name in self.names}


def read_micrograph_list(path: str | Path) -> MicrographList:
    """Read the list of micrographs of RELION's Import, MotionCorr, CtfFind or Select job.

    Raises
    ------
    UserError
        If the file has no micrographs, or some that CRISP cannot pick for RELION.
    """
    blocks = {name: as_table(block) for name, block in read_blocks(path).items()}
    table = next((block for name, block in blocks.items() if NAME_LABEL in block and name != "optics"), None)
    if table is None or table.empty:
        raise UserError(f"{path}: lists no micrographs ({NAME_LABEL}); give the star file of a CtfFind or Import job")
    names = table[NAME_LABEL].astype(str).tolist()
    for name in names:
        check_name_of_micrograph(path, name)
    check_names_differ(path, names)
    return MicrographList(names, common_pixel_size(path, pixel_size_of_micrographs(path, table, blocks.get("optics"))))


def check_name_of_micrograph(path: str | Path, name: str) -> None:
    """Refuse a micrograph whose picks RELION would not find, or would find upside down; `path` is the list."""
    if not is_mrc(name):
        raise UserError(
            f"{path}: {name} is not an MRC file, and RELION counts the rows of TIFF from the other end; give "
            "micrographs in MRC, as RELION's motion correction writes them"
        )
    if ".." in PurePosixPath(name).parts:
        raise UserError(f"{path}: {name} is outside of the project (..); link its folder into the project")


def check_names_differ(path: str | Path, names: list[str]) -> None:
    """Refuse micrographs of a list `path` whose names differ in their folders only, since CRISP would mix them up."""
    stems = pd.Series(names, index=[micrograph_stem(name) for name in names])
    twice = stems[stems.index.duplicated(keep=False)]
    if len(twice):
        first, second = twice.loc[[twice.index[0]]].iloc[:2]
        raise UserError(
            f"{path}: {first} and {second} have the same name without folders; pick them in two jobs (RELION's Subset "
            "selection), or rename one"
        )


def common_pixel_size(path: str | Path, sizes: np.ndarray) -> float | None:
    """Pixel size (Å/px) of all micrographs of a list; None if the list `path` does not state it for all of them."""
    stated = pd.Series(sizes)
    if stated.isna().any():
        return None
    if not equal_pixel_sizes(stated.min(), stated.max()):
        raise UserError(
            f"{path}: has micrographs of {stated.min():g} and of {stated.max():g} Å/px; select those of one pixel size "
            "(RELION's Subset selection) and pick each set in a job of its own"
        )
    return float(stated.iloc[0])


def coordinate_file(folder: str | Path, name: str, suffix: str) -> str:
    """File in which RELION looks for the coordinates of a micrograph.

    Parameters
    ----------
    folder : str or Path
        Folder of the picking job.
    name : str
        Name of the micrograph in RELION's lists.
    suffix : str
        End of the file's name, such as `_autopick.star`.
    """
    inner = OF_A_JOB.sub("", name).lstrip("/")
    return (PurePosixPath(Path(folder).as_posix()) / (inner[: inner.rindex(".")] + suffix)).as_posix()
