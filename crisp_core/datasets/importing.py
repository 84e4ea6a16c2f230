"""Coordinates of a dataset, from all of its files, matched with the micrographs and checked."""

from collections.abc import Callable, Mapping, Sequence, Sized
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from crisp_core.datasets.coordinate_check import check_against_images, scale_advice
from crisp_core.datasets.pixel_sizes import equal_pixel_sizes
from crisp_core.datasets.quarantine import Refused
from crisp_core.errors import UserError
from crisp_core.formats.arrays import array_grids, array_names, read_array
from crisp_core.formats.coordinates.registry import (
    is_coordinate_list,
    listed_files,
    match_names,
    nearest_name,
    read_coordinates,
    read_origins,
    says_pixel_size,
    split_inside,
    to_top_left,
)
from crisp_core.formats.star import COLUMNS, micrograph_pixel_sizes, micrograph_stem
from crisp_core.geometry import Shape

# RELION keeps the pixel size of the movies; motion correction may have binned them
MOVIE_LABEL = "rlnMicrographOriginalPixelSize"
_MOVIES = " (of movies that were binned it differs, and is no mistake)"


class Imported(NamedTuple):
    """Coordinates, the table of names, what was refused, and lines for the log.

    `names` has one row per name that a file gives, with columns path, name, micrograph (empty where none matches) and
    n_coordinates. A micrograph in it is labelled, also when it has no particle.
    """

    coordinates: pd.DataFrame
    names: pd.DataFrame
    refused: list[Refused]
    notes: list[str]


def import_coordinates(
    paths: Sequence[str],
    shapes: Mapping[str, Shape],
    *,
    format: str,
    origin: str,
    scale: float = 1.0,
    least_score: float | None = None,
    refined_pixel_size: float | None = None,
    required: bool = True,
    advice: Callable[[pd.DataFrame], str] = lambda table: "",
) -> Imported:
    """Read all coordinate files of a dataset; a bad file is refused alone, and equal coordinates count once.

    Parameters
    ----------
    paths : sequence of str
        Files of one or many micrographs each, or RELION's lists of such files.
    shapes : mapping of str to (height, width)
        Full-resolution shape of every micrograph that could be read, by stem.
    format, origin, scale, least_score : str, str, float, float or None
        As the dataset's entry says: coordinates are multiplied by the scale; those of a lower score are left out.
    refined_pixel_size : float, optional
        Å/px of the micrographs. If given, the files are stars of refined particles, and the origins that the
        refinement found are subtracted.
    required : bool
        Whether it is a mistake that no micrograph has coordinates.
    advice : function
        What to add to the message about coordinates outside their micrograph: a text that begins with a semicolon, or
        nothing.

    Returns
    -------
    Imported
        Coordinates in full-resolution pixels from the top-left.

    Raises
    ------
    UserError
        If coordinates are required and no file can be used, no name in them matches a micrograph, or none of them has
        a coordinate.
    """
    sources, refused = _with_listed_files(paths)
    tables = _read_each(sources, format, refined_pixel_size, least_score, refused)
    _check_some_left(tables, paths, refused, required)
    names = _names(tables, sources, list(shapes), required)
    rows_of = {path: dict(iter(table.groupby("micrograph", sort=False))) for path, table in tables.items()}
    kept, taken, n_low, repeated = [], set(), 0, []
    # micrograph by micrograph, so that a mistake in a file of many costs one of them
    for row in names[names["micrograph"] != ""].itertuples():
        try:
            if row.micrograph in taken:
                raise UserError(f"{row.path}: a second set of coordinates of {row.micrograph}; remove one of the two")
            table = rows_of[row.path].get(row.name, tables[row.path].iloc[:0]).assign(micrograph=row.micrograph)
            high = table if least_score is None else table[table["score"] >= least_score]
            on_image, outside = _inside(high.assign(x=scale * high["x"], y=scale * high["y"]), shapes, row.path, advice)
        except UserError as error:
            refused.append(Refused(row.path, "coordinates", str(error)))
            names = names.drop(row.Index)
            continue
        refused += [Refused(row.path, "coordinates", outside)] if outside else []
        taken.add(row.micrograph)
        n_low += len(table) - len(high)
        placed = _placed(on_image, shapes[row.micrograph], origin=origin)
        once = placed.drop_duplicates(["x", "y"])
        repeated += [row.path] * (len(placed) - len(once))
        names.loc[row.Index, "n_coordinates"] = len(once)
        kept.append(once)
    _check_some_left(names, paths, refused, required)
    coordinates = _joined(kept)
    if required and coordinates.empty:
        raise UserError(_nothing_left(paths, refused, n_low))
    notes = [*_score_notes(tables, least_score, n_low), *_repeated_notes(repeated)]
    return Imported(coordinates, names, refused, notes)


def _check_some_left(left: Sized, paths: Sequence[str], refused: Sequence[Refused], required: bool) -> None:
    if required and not len(left):
        reason = refused[0].reason if refused else "there is none; correct coordinates/files"
        raise UserError(f"none of {len(paths)} coordinate files can be used; the first: {reason}")


def _names(
    tables: Mapping[str, pd.DataFrame], sources: Mapping[str, str | None], micrographs: Sequence[str], required: bool
) -> pd.DataFrame:
    """Table of names as `Imported` has it, ordered; an empty file stands for the micrograph of its own name."""
    counts = {path: table["micrograph"].value_counts(sort=False).to_dict() for path, table in tables.items()}
    rows = [(path, name, n) for path in tables for name, n in (counts[path] or {sources[path] or path: 0}).items()]
    names = pd.DataFrame(rows, columns=["path", "name", "n_coordinates"])
    matched = match_names(names["name"].tolist(), micrographs, required=required)["micrograph"]
    names.insert(2, "micrograph", matched)
    return names.sort_values(["path", "name"], ignore_index=True)


def _joined(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    empty = pd.DataFrame(columns=list(COLUMNS)).astype({"x": float, "y": float, "score": float})
    return pd.concat([table for table in tables if len(table)] or [empty], ignore_index=True)[list(COLUMNS)]


def _score_notes(tables: Mapping[str, pd.DataFrame], least_score: float | None, n_low: int) -> list[str]:
    if least_score is not None:
        return [f"{n_low} coordinates score less than least_score = {least_score:g} and are left out"]
    boxes = [path for path in tables if path.lower().endswith(".cbox") and len(tables[path])]
    if not boxes:
        return []
    lowest = min(tables[path]["score"].min() for path in boxes)
    return [
        f"{boxes[0]}: a .cbox file of crYOLO also holds boxes that crYOLO itself leaves out, here down to a confidence "
        f"of {lowest:.2f}; set least_score (crYOLO's default is 0.3) to leave them out"
    ]


def _repeated_notes(paths: Sequence[str]) -> list[str]:
    """Line about coordinates that stand twice; `paths` has the file of each one too many."""
    if not paths:
        return []
    return [
        f"{paths[0]}: has a coordinate in more than one row ({len(paths)} such rows in {len(set(paths))} files), "
        "which counts once"
    ]


def _nothing_left(paths: Sequence[str], refused: Sequence[Refused], n_low: int) -> str:
    """Message for files that can be read and hold no coordinate on any micrograph."""
    if n_low:
        return f"{paths[0]}: all {n_low} coordinates of {len(paths)} files score less than least_score; lower it"
    reason = f"; the first refused: {refused[0].reason}" if refused else ""
    return (
        f"{paths[0]}: none of {len(paths)} coordinate files has a coordinate of a particle{reason}; "
        "give coordinates of some micrographs"
    )


def _inside(
    table: pd.DataFrame, shapes: Mapping[str, Shape], path: str, advice: Callable[[pd.DataFrame], str]
) -> tuple[pd.DataFrame, str]:
    """Result of `split_inside`, whose error says at which scale the coordinates would fit."""
    try:
        return split_inside(table, shapes, source=path)
    except UserError as error:
        raise UserError(f"{error}{advice(table)}") from None


def pixel_size_notices(paths: Sequence[str], *, pixel_size: float, scale: float) -> list[str]:
    """One line for each pixel size of micrographs that STAR files of coordinates state otherwise than the config.

    Parameters
    ----------
    paths : sequence of str
        Coordinate files, or RELION's lists of them; files that cannot be used say nothing here.
    pixel_size : float
        Å/px of the dataset's micrographs.
    scale : float
        Number by which the coordinates are multiplied, so that they count pixels of `scale * pixel_size` Å.
    """
    others: dict[tuple[float, str], list[str]] = {}
    for path in filter(says_pixel_size, _with_listed_files(paths)[0]):
        with suppress(UserError):
            for size, label in micrograph_pixel_sizes(path).items():
                if not equal_pixel_sizes(size, scale * pixel_size):
                    others.setdefault((size, label), []).append(path)
    return [
        f"{files[0]}: its {label} says pixels of {size:g} Å ({len(files)} files in all), its coordinates are taken to "
        f"count pixels of {scale * pixel_size:g} Å{_MOVIES if label == MOVIE_LABEL else ''}; if they were picked on "
        f"micrographs of {size:g} Å, set scale to {size / pixel_size:.6g}, or correct pixel_size"
        for (size, label), files in others.items()
    ]


def unmatched_files(names: pd.DataFrame, micrographs: Sequence[str]) -> list[Refused]:
    """Coordinate files of which no name matches a micrograph.

    Parameters
    ----------
    names : DataFrame
        Of `Imported` or `joined_names`.
    micrographs : sequence of str
        All micrographs of the dataset. A file whose micrograph is among them is not listed: that micrograph itself
        was refused.
    """
    known = match_names(names["name"].tolist(), micrographs, required=False)["micrograph"].to_numpy()
    matched = pd.Series((names["micrograph"].to_numpy() != "") | (known != ""), index=names["path"].to_numpy())
    first = names.drop_duplicates("path").set_index("path")["name"]
    return [
        Refused(
            path,
            "coordinates",
            f"{path}: no micrograph is called {micrograph_stem(first[path])}, the nearest name is "
            f"{nearest_name(first[path], micrographs)}; rename the file if it belongs to one, it is used as soon as "
            "its micrograph is there",
        )
        for path, any_matched in matched.groupby(level=0, sort=False).any().items()
        if not any_matched
    ]


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


def _with_listed_files(paths: Sequence[str]) -> tuple[dict[str, str | None], list[Refused]]:
    """Coordinate files, with the micrograph that one of RELION's lists says; listed files in place of the list."""
    sources: dict[str, str | None] = {}
    refused = []
    for path in paths:
        try:
            listed = listed_files(path) if is_coordinate_list(path) else {path: None}
        except UserError as error:
            refused.append(Refused(path, "coordinates", str(error)))
            continue
        # a file may also be given by itself
        sources |= {file: name or sources.get(file) for file, name in listed.items()}
    return sources, refused


def _read_each(
    sources: Mapping[str, str | None],
    format: str,
    refined_pixel_size: float | None,
    least_score: float | None,
    refused: list[Refused],
) -> dict[str, pd.DataFrame]:
    """Tables by path, with the columns origin_x and origin_y in px of the micrographs; adds to `refused`."""
    tables = {}
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
    return tables


def _placed(table: pd.DataFrame, shape: Shape, *, origin: str) -> pd.DataFrame:
    """Coordinates of one micrograph from the top-left; refined centres may lie a little outside."""
    table = table.assign(x=table["x"] - table["origin_x"], y=table["y"] - table["origin_y"])
    return to_top_left(table, dict.fromkeys(table["micrograph"].unique(), shape[0]), origin=origin)


def import_checked(
    paths: Sequence[str],
    image_files: Sequence[str],
    *,
    diameter_angstrom: float,
    source: str,
    origin: str,
    scale: float = 1.0,
    required: bool = True,
    **settings: Any,
) -> Imported:
    """`import_coordinates` without those that fit the prepared micrographs of batch files only upside down or rescaled.

    Parameters
    ----------
    paths, origin, scale, required
        As in `import_coordinates`; so are further settings.
    image_files : sequence of str
        Batch files of `prepare`.
    diameter_angstrom : float
        Particle diameter in Å.
    source : str
        What the message names.

    Raises
    ------
    UserError
        As `import_coordinates` and `check_against_images` do.
    """
    file_of = {name: file for file in image_files for name in array_names(file, "image")}
    shapes = {name: grid.full_shape for file in image_files for name, grid in array_grids(file, "image").items()}
    options: dict[str, Any] = {"diameter_angstrom": diameter_angstrom, "origin": origin, "scale": scale}

    def advice(table: pd.DataFrame) -> str:
        name = table["micrograph"].iloc[0]
        return scale_advice(table[["x", "y"]].to_numpy(), read_array(file_of[name], "image", name), **options)

    imported = import_coordinates(
        paths, shapes, origin=origin, scale=scale, required=required, advice=advice, **settings
    )
    named = set(imported.names["micrograph"])
    images = ((name, read_array(file, "image", name)) for name, file in file_of.items() if name in named)
    wrong, notes = check_against_images(imported.coordinates, images, source=source, required=required, **options)
    checked = without(imported._replace(notes=[*imported.notes, *notes]), wrong)
    _check_some_left(checked.coordinates, paths, checked.refused, required)
    return checked


def without(imported: Imported, reasons: Mapping[str, str]) -> Imported:
    """What is left where the coordinates of some micrographs are refused, each for its reason."""
    wrong = imported.names["micrograph"].isin(list(reasons))
    refused = [Refused(row.path, "coordinates", reasons[row.micrograph]) for row in imported.names[wrong].itertuples()]
    kept = ~imported.coordinates["micrograph"].isin(list(reasons))
    coordinates = imported.coordinates[kept].reset_index(drop=True)
    names = imported.names[~wrong].reset_index(drop=True)
    return imported._replace(coordinates=coordinates, names=names, refused=[*imported.refused, *refused])
