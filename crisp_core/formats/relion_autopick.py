"""RELION's autopick files: one STAR file of picks per micrograph, and the list that names them (`autopick.star`).

Source: RELION 3.1 and 5 source, `autopicker.cpp` and `metadata_label.h`.
"""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from crisp_core.errors import UserError
from crisp_core.formats.coordinates.table import NO_SCORE
from crisp_core.formats.relion_labels import NAME_LABEL, SCORE_LABEL, X_LABEL, Y_LABEL, passed_on
from crisp_core.formats.star import as_table, has_label, read_blocks, write_blocks
from crisp_core.formats.stems import distinct_stems, paths_of_stems

LIST_LABEL = "rlnMicrographCoordinates"


def autopick_table(table: pd.DataFrame) -> pd.DataFrame:
    """Picks of a micrograph as RELION's autopicking writes them (class and angle 0: no template), and their shapes."""
    return pd.DataFrame(
        {
            X_LABEL: table["x"].to_numpy(dtype=float),
            Y_LABEL: table["y"].to_numpy(dtype=float),
            SCORE_LABEL: table["score"].fillna(NO_SCORE).to_numpy(dtype=float),
            "rlnClassNumber": np.zeros(len(table), dtype=int),
            "rlnAnglePsi": np.zeros(len(table)),
            **passed_on(table),
        }
    )


def write_autopick(
    path: str | Path, directory: str | Path, table: pd.DataFrame, micrograph_paths: Mapping[str, str]
) -> None:
    """Write picks for RELION's extraction: a list at `path` and `<stem>_autopick.star` per micrograph in `directory`.

    Parameters
    ----------
    path : str or Path
        The list, with block `data_coordinate_files`.
    directory : str or Path
        Folder of the micrographs' files, as the list shall name it (relative to the project directory).
    table : pd.DataFrame
        Columns micrograph, x, y, score.
    micrograph_paths : Mapping[str, str]
        Path of every micrograph, by stem; a micrograph without picks gets an empty file.

    Raises
    ------
    UserError
        If a pick's micrograph has no path, or a STAR file cannot hold a name.
    """
    paths_of_stems(table["micrograph"].astype(str), micrograph_paths)
    Path(directory).mkdir(parents=True, exist_ok=True)
    files = [(PurePosixPath(directory) / f"{stem}_autopick.star").as_posix() for stem in micrograph_paths]
    listed = pd.DataFrame({NAME_LABEL: list(micrograph_paths.values()), LIST_LABEL: files})
    write_blocks(path, {"coordinate_files": listed.astype("str")})
    picks = dict(list(table.groupby("micrograph", sort=False)))
    for stem, file in zip(micrograph_paths, files, strict=True):
        write_blocks(file, {"": autopick_table(picks.get(stem, table.iloc[:0]))})


def is_coordinate_list(path: str | Path) -> bool:
    """Whether a file is RELION's list of coordinate files, which has the column rlnMicrographCoordinates."""
    return Path(path).suffix.lower() == ".star" and has_label(path, LIST_LABEL)


def listed_files(path: str | Path) -> dict[str, str]:
    """Coordinate files that RELION's list names, with the micrograph of each.

    Their paths start from the folder of RELION's project: upwards from the list, the first folder that has the file,
    otherwise the working directory. Job numbers are the same in all projects, so the list's own folders come first.

    Returns
    -------
    dict
        Micrograph (stem) by path.

    Raises
    ------
    UserError
        If the list cannot be read, names a file twice, or names another list.
    """
    found = {placed_file(path, file): micrograph for file, micrograph in read_coordinate_list(path).items()}
    lists = [file for file in found if is_coordinate_list(file)]
    if lists:
        raise UserError(f"{path}: names the list {lists[0]}; name files of coordinates in it")
    return found


def placed_file(path: str | Path, file: str) -> str:
    """Path of a file that a list in the file `path` names; as it is named if it is not there."""
    places = (folder / file for folder in [*Path(path).parents, Path()])
    return str(next((place for place in places if place.is_file()), file))


def read_coordinate_list(path: str | Path) -> dict[str, str]:
    """Read RELION's list of coordinate files (`autopick.star`, block data_coordinate_files).

    Returns
    -------
    dict
        Micrograph (stem) by coordinate file, as the list names it.

    Raises
    ------
    UserError
        As `read_listed_names`.
    """
    names = read_listed_names(path)
    return dict(zip(names, distinct_stems(list(names.values())), strict=True))


def read_listed_names(path: str | Path) -> dict[str, str]:
    """Read RELION's list of coordinate files, with RELION's names of the micrographs.

    Returns
    -------
    dict
        Name of the micrograph by coordinate file, as the list names it.

    Raises
    ------
    UserError
        If the file cannot be read, has no such list, or names a file twice.
    """
    tables = (as_table(block) for block in read_blocks(path).values())
    table = next((table for table in tables if {NAME_LABEL, LIST_LABEL} <= set(table)), None)
    if table is None:
        raise UserError(f"{path}: has no columns {NAME_LABEL} and {LIST_LABEL}; give RELION's autopick.star")
    if table[LIST_LABEL].duplicated().any():
        repeated = table.loc[table[LIST_LABEL].duplicated(), LIST_LABEL].iloc[0]
        raise UserError(f"{path}: names {repeated} twice; give each micrograph its own coordinate file")
    return dict(zip(table[LIST_LABEL].astype(str), table[NAME_LABEL].astype(str), strict=True))
