"""The coordinates of a dataset from all of its files: read, matched with the micrographs, checked."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from crisp_core.arrays import Array
from crisp_core.coordinates import (
    check_inside,
    check_origin,
    match_names,
    origin_contrast,
    read_coordinates,
    to_top_left,
)
from crisp_core.errors import UserError
from crisp_core.geometry import Shape, angstrom_to_px, flipped_y, rescaled_xy
from crisp_core.quarantine import Refused
from crisp_core.star import COLUMNS

# enough particles to tell up from down, and quick for thousands of micrographs
MICROGRAPHS_FOR_ORIGIN = 20


class Imported(NamedTuple):
    """Coordinates, the table of names, and what was refused.

    `names` has one row per name that a file gives, with columns path, name, micrograph (empty where none matches) and
    n_coordinates. A micrograph in it is labelled, also when it has no particle.
    """

    coordinates: pd.DataFrame
    names: pd.DataFrame
    refused: list[Refused]


def import_coordinates(paths: Sequence[str], shapes: Mapping[str, Shape], *, format: str, origin: str) -> Imported:
    """Read all coordinate files of a dataset; a bad file is refused alone.

    Parameters
    ----------
    paths : sequence of str
        Files of one or many micrographs each.
    shapes : mapping of str to (height, width)
        Full-resolution shape of every micrograph that could be read, by stem.
    format, origin : str
        As the dataset's entry says.

    Returns
    -------
    Imported
        Coordinates in full-resolution pixels from the top-left.

    Raises
    ------
    UserError
        If no file can be used, or no name in them matches a micrograph.
    """
    tables, refused = _read_each(paths, format)
    names = pd.DataFrame(
        [(path, name, n) for path, table in tables.items() for name, n in _counts(path, table).items()],
        columns=["path", "name", "n_coordinates"],
    )
    names["micrograph"] = match_names(names["name"].tolist(), list(shapes))["micrograph"]
    names = names.sort_values(["path", "name"], ignore_index=True)
    repeated = names["micrograph"].duplicated() & (names["micrograph"] != "")
    kept = [pd.DataFrame(columns=list(COLUMNS)).astype({"x": float, "y": float, "score": float})]
    # micrograph by micrograph, so that a mistake in a file of many costs one of them
    for row in names.itertuples():
        try:
            if repeated[row.Index]:
                raise UserError(f"{row.path}: a second set of coordinates of {row.micrograph}; remove one of the two")
            table = tables[row.path]
            table = table[table["micrograph"] == row.name].assign(micrograph=row.micrograph)
            kept.append(_placed(table, shapes, origin=origin, source=row.path))
        except UserError as error:
            refused.append(Refused(row.path, "coordinates", str(error)))
            names = names.drop(row.Index)
    if not len(names):
        raise UserError(f"none of {len(paths)} coordinate files can be used; the first: {refused[0].reason}")
    coordinates = pd.concat([table for table in kept if len(table)] or kept, ignore_index=True)
    return Imported(coordinates[list(COLUMNS)], names[["path", "name", "micrograph", "n_coordinates"]], refused)


def _read_each(paths: Sequence[str], format: str) -> tuple[dict[str, pd.DataFrame], list[Refused]]:
    tables, refused = {}, []
    for path in paths:
        try:
            tables[path] = read_coordinates(path, format=format)
        except UserError as error:
            refused.append(Refused(path, "coordinates", str(error)))
    if not tables:
        reason = refused[0].reason if refused else "there is none; correct coordinates/files"
        raise UserError(f"none of {len(paths)} coordinate files can be used; the first: {reason}")
    return tables, refused


def _counts(path: str, table: pd.DataFrame) -> dict[str, int]:
    """Coordinates per name; an empty file stands for the micrograph of its own name."""
    return table["micrograph"].value_counts(sort=False).to_dict() or {path: 0}


def _placed(table: pd.DataFrame, shapes: Mapping[str, Shape], *, origin: str, source: str) -> pd.DataFrame:
    """Coordinates of one micrograph, from the top-left and inside; none where no micrograph matches."""
    table = table[table["micrograph"] != ""]
    if table.empty:
        return table
    check_inside(table, shapes, source=source)
    return to_top_left(table, {name: shape[0] for name, shape in shapes.items()}, origin=origin)


def check_stated_origin(
    coordinates: pd.DataFrame, images: Iterable[tuple[str, Array]], *, diameter_angstrom: float, source: str
) -> None:
    """Refuse coordinates that fit their micrographs clearly better upside down.

    Parameters
    ----------
    coordinates : DataFrame
        Columns micrograph, x, y in full-resolution pixels from the top-left, as the stated origin gives them.
    images : iterable of (micrograph, Array)
        Prepared micrographs; the first `MICROGRAPHS_FOR_ORIGIN` are looked at.
    diameter_angstrom : float
        Particle diameter in Å.
    source : str
        What the message names.

    Raises
    ------
    UserError
        If the other origin fits clearly better.
    """
    contrasts: dict[bool, list[np.ndarray]] = {False: [], True: []}
    for _, (name, image) in zip(range(MICROGRAPHS_FOR_ORIGIN), images, strict=False):
        radius_px = angstrom_to_px(diameter_angstrom, image.pixel_size) / 2
        xy = coordinates.loc[coordinates["micrograph"] == name, ["x", "y"]].to_numpy()
        upside_down = np.column_stack([xy[:, 0], flipped_y(xy[:, 1], image.full_shape[0])])
        for flipped, place in ((False, xy), (True, upside_down)):
            place = rescaled_xy(place, image.full_shape, image.data.shape)
            contrasts[flipped].append(origin_contrast(image.data, place, radius_px=radius_px))
    if contrasts[False]:
        check_origin(np.concatenate(contrasts[False]), np.concatenate(contrasts[True]), source=source)
