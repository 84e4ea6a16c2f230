"""Coordinates of a dataset, from all of its files, matched with the micrographs and checked."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from crisp_core.arrays import Array, array_names, read_array
from crisp_core.coordinates import (
    check_inside,
    check_origin,
    match_names,
    origin_contrast,
    read_coordinates,
    read_origins,
    to_top_left,
)
from crisp_core.errors import UserError
from crisp_core.geometry import Shape, angstrom_to_px, flipped_y, rescaled_xy
from crisp_core.quarantine import Refused
from crisp_core.star import COLUMNS

# fewer particles cannot tell up from down in one micrograph
PARTICLES_FOR_ORIGIN = 10


class Imported(NamedTuple):
    """Coordinates, the table of names, and what was refused.

    `names` has one row per name that a file gives, with columns path, name, micrograph (empty where none matches) and
    n_coordinates. A micrograph in it is labelled, also when it has no particle.
    """

    coordinates: pd.DataFrame
    names: pd.DataFrame
    refused: list[Refused]


def import_coordinates(
    paths: Sequence[str],
    shapes: Mapping[str, Shape],
    *,
    format: str,
    origin: str,
    refined_pixel_size: float | None = None,
    required: bool = True,
) -> Imported:
    """Read all coordinate files of a dataset; a bad file is refused alone.

    Parameters
    ----------
    paths : sequence of str
        Files of one or many micrographs each.
    shapes : mapping of str to (height, width)
        Full-resolution shape of every micrograph that could be read, by stem.
    format, origin : str
        As the dataset's entry says.
    refined_pixel_size : float, optional
        Å/px of the micrographs. If given, the files are stars of refined particles, and the origins that the
        refinement found are subtracted.
    required : bool
        Whether it is a mistake that no micrograph has coordinates.

    Returns
    -------
    Imported
        Coordinates in full-resolution pixels from the top-left.

    Raises
    ------
    UserError
        If coordinates are required and no file can be used, or no name in them matches a micrograph.
    """
    tables, refused = _read_each(paths, format, refined_pixel_size)
    if required and not tables:
        reason = refused[0].reason if refused else "there is none; correct coordinates/files"
        raise UserError(f"none of {len(paths)} coordinate files can be used; the first: {reason}")
    names = pd.DataFrame(
        [(path, name, n) for path, table in tables.items() for name, n in _counts(path, table).items()],
        columns=["path", "name", "n_coordinates"],
    )
    names["micrograph"] = match_names(names["name"].tolist(), list(shapes), required=required)["micrograph"]
    names = names.sort_values(["path", "name"], ignore_index=True)
    taken = set()
    kept = [pd.DataFrame(columns=list(COLUMNS)).astype({"x": float, "y": float, "score": float})]
    rows_of = {path: dict(iter(table.groupby("micrograph", sort=False))) for path, table in tables.items()}
    # micrograph by micrograph, so that a mistake in a file of many costs one of them
    for row in names[names["micrograph"] != ""].itertuples():
        try:
            if row.micrograph in taken:
                raise UserError(f"{row.path}: a second set of coordinates of {row.micrograph}; remove one of the two")
            if row.n_coordinates:
                table = rows_of[row.path][row.name].assign(micrograph=row.micrograph)
                kept.append(_placed(table, shapes[row.micrograph], origin=origin, source=row.path))
            taken.add(row.micrograph)
        except UserError as error:
            refused.append(Refused(row.path, "coordinates", str(error)))
            names = names.drop(row.Index)
    if required and not len(names):
        raise UserError(f"none of {len(paths)} coordinate files can be used; the first: {refused[0].reason}")
    coordinates = pd.concat(kept[1:] or kept, ignore_index=True)
    return Imported(coordinates[list(COLUMNS)], names[["path", "name", "micrograph", "n_coordinates"]], refused)


def joined_names(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Join the names that parts of a dataset matched, each read with all files that may concern it.

    Parameters
    ----------
    tables : sequence of DataFrame
        As `Imported.names`.

    Returns
    -------
    DataFrame
        Every name once: without micrograph only where no part has one.
    """
    names = pd.concat(tables, ignore_index=True).sort_values("micrograph", ascending=False, kind="stable")
    names = names.drop_duplicates(["path", "name"])
    return names.sort_values(["path", "name"], ignore_index=True)


def _read_each(
    paths: Sequence[str], format: str, refined_pixel_size: float | None
) -> tuple[dict[str, pd.DataFrame], list[Refused]]:
    """Tables by path; with the columns origin_x and origin_y in px of the micrographs."""
    tables, refused = {}, []
    for path in paths:
        try:
            table = read_coordinates(path, format=format)
            origins = np.zeros((len(table), 2))
            if refined_pixel_size is not None:
                origins = read_origins(path, pixel_size=refined_pixel_size)
            tables[path] = table.assign(origin_x=origins[:, 0], origin_y=origins[:, 1])
        except UserError as error:
            refused.append(Refused(path, "coordinates", str(error)))
    return tables, refused


def _counts(path: str, table: pd.DataFrame) -> dict[str, int]:
    """Coordinates per name; an empty file stands for the micrograph of its own name."""
    return table["micrograph"].value_counts(sort=False).to_dict() or {path: 0}


def _placed(table: pd.DataFrame, shape: Shape, *, origin: str, source: str) -> pd.DataFrame:
    """Coordinates of one micrograph, from the top-left and inside."""
    name = table["micrograph"].iloc[0]
    # refined centres may lie a little outside, where the coordinates themselves do not
    check_inside(table, {name: shape}, source=source)
    table = table.assign(x=table["x"] - table["origin_x"], y=table["y"] - table["origin_y"])
    return to_top_left(table, {name: shape[0]}, origin=origin)


def check_stated_origin(
    coordinates: pd.DataFrame,
    images: Iterable[tuple[str, Array]],
    *,
    diameter_angstrom: float,
    source: str,
    required: bool = True,
) -> dict[str, str]:
    """Refuse coordinates that fit their micrographs clearly better upside down, all together or one by one.

    Parameters
    ----------
    coordinates : DataFrame
        Columns micrograph, x, y in full-resolution pixels from the top-left, as the stated origin gives them.
    images : iterable of (micrograph, Array)
        Prepared micrographs.
    diameter_angstrom : float
        Particle diameter in Å.
    source : str
        What the message names.
    required : bool
        Whether it is a mistake that no micrograph's coordinates are left.

    Returns
    -------
    dict
        Reason by micrograph, for those whose own coordinates are upside down while the others are not.

    Raises
    ------
    UserError
        If the other origin fits all of them together clearly better, and coordinates are required.
    """
    places = {name: rows[["x", "y"]].to_numpy() for name, rows in coordinates.groupby("micrograph")}
    contrasts: dict[bool, list[np.ndarray]] = {False: [], True: []}
    wrong = {}
    for name, image in images:
        radius_px = angstrom_to_px(diameter_angstrom, image.pixel_size) / 2
        xy = places.get(name, np.empty((0, 2)))
        upside_down = np.column_stack([xy[:, 0], flipped_y(xy[:, 1], image.full_shape[0])])
        for flipped, place in ((False, xy), (True, upside_down)):
            place = rescaled_xy(place, image.full_shape, image.data.shape)
            contrasts[flipped].append(origin_contrast(image.data, place, radius_px=radius_px))
        try:
            if len(xy) >= PARTICLES_FOR_ORIGIN:
                check_origin(contrasts[False][-1], contrasts[True][-1], source=source)
        except UserError:
            wrong[name] = f"the coordinates of {name} fit it upside down; turn them around"
    if contrasts[False] and required:
        check_origin(np.concatenate(contrasts[False]), np.concatenate(contrasts[True]), source=source)
    return wrong


def without_upside_down(
    imported: Imported, image_files: Iterable[str], *, diameter_angstrom: float, source: str, required: bool = True
) -> Imported:
    """What `check_stated_origin` leaves of imported coordinates, on the prepared micrographs of batch files."""
    named = set(imported.names["micrograph"])
    images = (
        (name, read_array(file, "image", name))
        for file in image_files
        for name in array_names(file, "image")
        if name in named
    )
    options = {"diameter_angstrom": diameter_angstrom, "source": source, "required": required}
    return without(imported, check_stated_origin(imported.coordinates, images, **options))


def without(imported: Imported, reasons: Mapping[str, str]) -> Imported:
    """What is left where the coordinates of some micrographs are refused, each for its reason."""
    wrong = imported.names["micrograph"].isin(list(reasons))
    refused = [Refused(row.path, "coordinates", reasons[row.micrograph]) for row in imported.names[wrong].itertuples()]
    kept = ~imported.coordinates["micrograph"].isin(list(reasons))
    coordinates = imported.coordinates[kept].reset_index(drop=True)
    return Imported(coordinates, imported.names[~wrong].reset_index(drop=True), [*imported.refused, *refused])
