"""Reading all coordinate files of a dataset; a bad file is refused alone."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from crisp_core.datasets.quarantine import Refused
from crisp_core.errors import UserError
from crisp_core.formats.coordinates.registry import read_coordinates
from crisp_core.formats.relion_autopick import is_coordinate_list, listed_files
from crisp_core.formats.relion_origins import read_origins


def with_listed_files(paths: Sequence[str]) -> tuple[dict[str, str | None], list[Refused]]:
    """Coordinate files with the micrograph that one of RELION's lists states, and refused lists.

    The files that a list names replace the list.
    """
    sources: dict[str, str | None] = {}
    refused = []
    for path in paths:
        try:
            listed = listed_files(path) if is_coordinate_list(path) else {path: None}
        except UserError as error:
            refused.append(Refused(path, "coordinates", str(error)))
            continue
        # a file may be given both by itself and in a list
        sources |= {file: name or sources.get(file) for file, name in listed.items()}
    return sources, refused


def read_each(
    sources: Mapping[str, str | None],
    format: str,
    *,
    refined_pixel_size: float | None,
    least_score: float | None,
) -> tuple[dict[str, pd.DataFrame], list[Refused]]:
    """Read coordinate files, each with its origins.

    Parameters
    ----------
    sources : mapping of str to str or None
        Micrograph of each file, by path; None if the file or its name says it.
    format : str
        Format of the files, or auto.
    refined_pixel_size : float, optional
        Å/px of the micrographs, if the files are STAR files of refined particles whose origins are read.
    least_score : float, optional
        Minimum score of the dataset's entry; with it, every coordinate needs a score.

    Returns
    -------
    tuple of dict and list
        Tables by path, with the columns origin_x and origin_y in pixels of the micrographs; and the refused files.
    """
    tables, refused = {}, []
    for path, micrograph in sources.items():
        try:
            table = read_coordinates(path, format=format, micrograph=micrograph)
            if least_score is not None and table["score"].isna().any():
                raise UserError(f"{path}: has coordinates without a score; leave out least_score, or give scores")
            origins = np.zeros((len(table), 2))
            if refined_pixel_size is not None:
                origins = read_origins(path, pixel_size=refined_pixel_size)
            tables[path] = table.assign(origin_x=origins[:, 0], origin_y=origins[:, 1])
        except UserError as error:
            refused.append(Refused(path, "coordinates", str(error)))
    return tables, refused
