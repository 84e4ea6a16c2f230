"""Coordinates of a dataset, from all of its files, matched with the micrographs and checked."""

from collections.abc import Callable, Mapping, Sequence, Sized
from typing import Any, NamedTuple

import pandas as pd

from crisp_core.datasets.coordinate_check import check_against_images, scale_advice
from crisp_core.datasets.coordinate_files import read_each, with_listed_files
from crisp_core.datasets.coordinate_names import matched_names, names_in_doubt
from crisp_core.datasets.empty_micrographs import add_empty_micrographs
from crisp_core.datasets.quarantine import Refused
from crisp_core.errors import UserError
from crisp_core.formats.arrays import array_grids, array_names, read_array
from crisp_core.formats.coordinates.placing import split_inside, to_top_left
from crisp_core.formats.coordinates.table import COLUMNS
from crisp_core.geometry import Shape


class Imported(NamedTuple):
    """Coordinates, the table of names, the refused files, and lines for the log and for the report.

    `names` has one row per micrograph name in a file, with columns path, name, micrograph (empty where none matches)
    and n_coordinates. Every micrograph in it is labelled, also without particles.
    """

    coordinates: pd.DataFrame
    names: pd.DataFrame
    refused: list[Refused]
    notes: list[str]
    notices: Sequence[str] = ()


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
    format : str
        Format of the files, one of the registry's `FORMATS`, or auto.
    origin : str
        Corner from which y counts: top-left or bottom-left.
    scale : float
        Factor by which coordinates are multiplied.
    least_score : float, optional
        Minimum score; coordinates with a lower score are left out.
    refined_pixel_size : float, optional
        Å/px of the micrographs. If given, the files are STAR files of refined particles, and the origins that the
        refinement found are subtracted.
    required : bool
        Whether at least one micrograph must have coordinates.
    advice : function
        Returns an addition to the message about coordinates outside their micrograph, given their table: a text that
        begins with a semicolon, or nothing.

    Returns
    -------
    Imported
        Coordinates in full-resolution pixels from the top-left.

    Raises
    ------
    UserError
        If coordinates are required and no file can be used, no name matches a micrograph, or no file has a coordinate.
    """
    sources, refused = with_listed_files(paths)
    tables, unread = read_each(sources, format, refined_pixel_size=refined_pixel_size, least_score=least_score)
    refused += unread
    _check_some_left(tables, paths, refused, required)
    names = matched_names(tables, sources, list(shapes), required)
    options: dict[str, Any] = {"origin": origin, "scale": scale, "least_score": least_score, "advice": advice}
    found, names, bad = _import_each(names, tables, shapes, **options)
    refused += bad
    _check_some_left(names, paths, refused, required)
    coordinates = _joined([one.coordinates for one in found])
    n_low = sum(one.n_low for one in found)
    if required and coordinates.empty:
        raise UserError(_nothing_left(paths, refused, n_low))
    notes = [*_score_notes(tables, least_score, n_low), *_repeated_notes(found)]
    return Imported(coordinates, names, refused, notes)


class _Found(NamedTuple):
    """Imported coordinates of one micrograph from the file `path`.

    Of the rows of the file, `n_low` have a score below the minimum and `n_repeated` repeat another row; `outside` is a
    line about rows outside the micrograph.
    """

    path: str
    coordinates: pd.DataFrame
    outside: str
    n_low: int
    n_repeated: int


def _import_each(
    names: pd.DataFrame, tables: Mapping[str, pd.DataFrame], shapes: Mapping[str, Shape], **options: Any
) -> tuple[list[_Found], pd.DataFrame, list[Refused]]:
    """Coordinates micrograph by micrograph, the names that remain, and the refused ones.

    So a mistake in a file of many micrographs costs one of them.
    """
    rows_of = {path: dict(iter(table.groupby("micrograph", sort=False))) for path, table in tables.items()}
    found: dict[str, _Found] = {}
    refused = []
    in_doubt = names_in_doubt(names)
    for row in names[names["micrograph"] != ""].itertuples():
        table = rows_of[row.path].get(row.name, tables[row.path].iloc[:0]).assign(micrograph=row.micrograph)
        try:
            if row.Index in in_doubt:
                raise UserError(in_doubt[row.Index])
            if row.micrograph in found:
                raise UserError(f"{row.path}: a second set of coordinates of {row.micrograph}; remove one of the two")
            one = _import_one(table, shapes, row.path, **options)
        except UserError as error:
            refused.append(Refused(row.path, "coordinates", str(error)))
            names = names.drop(row.Index)
            continue
        refused += [Refused(row.path, "coordinates", one.outside)] if one.outside else []
        names.loc[row.Index, "n_coordinates"] = len(one.coordinates)
        found[row.micrograph] = one
    return list(found.values()), names, refused


def _import_one(
    table: pd.DataFrame,
    shapes: Mapping[str, Shape],
    path: str,
    *,
    origin: str,
    scale: float,
    least_score: float | None,
    advice: Callable[[pd.DataFrame], str],
) -> _Found:
    """Coordinates of one micrograph in its pixels, from the top-left."""
    high = table if least_score is None else table[table["score"] >= least_score]
    inside, outside = _inside(high.assign(x=scale * high["x"], y=scale * high["y"]), shapes, path, advice)
    placed = _placed(inside, shapes, origin=origin)
    once = placed.drop_duplicates(["x", "y"])
    return _Found(path, once, outside, len(table) - len(high), len(placed) - len(once))


def _check_some_left(left: Sized, paths: Sequence[str], refused: Sequence[Refused], required: bool) -> None:
    if required and not len(left):
        reason = refused[0].reason if refused else "there is none"
        raise UserError(f"coordinates/files: none of {len(paths)} files can be used; correct them, the first: {reason}")


def _joined(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    empty = pd.DataFrame(columns=list(COLUMNS)).astype({"x": float, "y": float, "score": float})
    return pd.concat([table for table in tables if len(table)] or [empty], ignore_index=True)[list(COLUMNS)]


def _score_notes(tables: Mapping[str, pd.DataFrame], least_score: float | None, n_low: int) -> list[str]:
    if least_score is not None:
        return [f"{n_low} coordinates have a score below least_score = {least_score:g} and are left out"]
    boxes = [path for path in tables if path.lower().endswith(".cbox") and len(tables[path])]
    if not boxes:
        return []
    lowest = min(tables[path]["score"].min() for path in boxes)
    return [
        f"{boxes[0]}: a .cbox file of crYOLO also holds boxes below crYOLO's own threshold, here down to a confidence "
        f"of {lowest:.2f}; set least_score (crYOLO's default is 0.3) to leave them out"
    ]


def _repeated_notes(found: Sequence[_Found]) -> list[str]:
    """Line about rows that repeat a coordinate."""
    repeated = [one for one in found if one.n_repeated]
    if not repeated:
        return []
    n_rows, n_files = sum(one.n_repeated for one in repeated), len({one.path for one in repeated})
    return [
        f"{repeated[0].path}: repeats coordinates ({n_rows} such rows in {n_files} files); each coordinate counts once"
    ]


def _nothing_left(paths: Sequence[str], refused: Sequence[Refused], n_low: int) -> str:
    """Message for readable files without a coordinate on any micrograph."""
    if n_low:
        return f"{paths[0]}: all {n_low} coordinates of {len(paths)} files have a score below least_score; lower it"
    reason = f"; first refusal: {refused[0].reason}" if refused else ""
    return (
        f"{paths[0]}: none of {len(paths)} coordinate files has a coordinate of a particle{reason}; "
        "give coordinates of some micrographs"
    )


def _inside(
    table: pd.DataFrame, shapes: Mapping[str, Shape], path: str, advice: Callable[[pd.DataFrame], str]
) -> tuple[pd.DataFrame, str]:
    """Result of `split_inside`; its error also names the scale at which the coordinates would fit."""
    try:
        return split_inside(table, shapes, source=path)
    except UserError as error:
        raise UserError(f"{error}{advice(table)}") from None


def _placed(table: pd.DataFrame, shapes: Mapping[str, Shape], *, origin: str) -> pd.DataFrame:
    """Coordinates from the top-left, without the origins of a refinement; they may lie a little outside."""
    table = table.assign(x=table["x"] - table["origin_x"], y=table["y"] - table["origin_y"])
    return to_top_left(table, {name: shapes[name][0] for name in table["micrograph"].unique()}, origin=origin)


def import_checked(
    paths: Sequence[str],
    image_files: Sequence[str],
    *,
    diameter_angstrom: float,
    source: str,
    origin: str,
    scale: float = 1.0,
    required: bool = True,
    complete: bool = False,
    **settings: Any,
) -> Imported:
    """Import coordinates, and refuse those that fit the prepared micrographs only upside down, turned or rescaled.

    Parameters
    ----------
    paths : sequence of str
        Files of one or many micrographs each, or RELION's lists of such files.
    image_files : sequence of str
        Batch files of `prepare`, with all micrographs.
    diameter_angstrom : float
        Particle diameter in Å.
    source : str
        Name of the dataset or files, for messages.
    origin : str
        Corner from which y counts: top-left or bottom-left.
    scale : float
        Factor by which coordinates are multiplied.
    required : bool
        Whether at least one micrograph must have coordinates.
    complete : bool
        Whether micrographs that no file names have no particle; otherwise nothing is known of them.
    **settings
        Further parameters of `import_coordinates`.

    Raises
    ------
    UserError
        As `import_coordinates` and `check_against_images` do.
    """
    file_of = {name: file for file in image_files for name in array_names(file, "image")}
    shapes = {name: grid.full_shape for file in image_files for name, grid in array_grids(file, "image").items()}
    options: dict[str, Any] = {"diameter_angstrom": diameter_angstrom, "origin": origin, "scale": scale}

    def advice(table: pd.DataFrame) -> str:
        """Factor at which coordinates outside their micrograph would fit, as an addition to the message."""
        name = table["micrograph"].iloc[0]
        return scale_advice(table[["x", "y"]].to_numpy(), read_array(file_of[name], "image", name), **options)

    imported = import_coordinates(
        paths, shapes, origin=origin, scale=scale, required=required, advice=advice, **settings
    )
    named = set(imported.names["micrograph"])
    if complete:
        imported = imported._replace(names=add_empty_micrographs(imported.names, shapes, path=paths[0]))
    images = ((name, read_array(file, "image", name)) for name, file in file_of.items() if name in named)
    judged = check_against_images(imported.coordinates, images, source=source, required=required, **options)
    imported = imported._replace(notes=[*imported.notes, *judged.notes], notices=judged.notices)
    checked = without(imported, judged.wrong)
    _check_some_left(checked.coordinates, paths, checked.refused, required)
    return checked


def without(imported: Imported, reasons: Mapping[str, str]) -> Imported:
    """Remove the coordinates of refused micrographs; `reasons` has the reason of each, by micrograph."""
    wrong = imported.names["micrograph"].isin(list(reasons))
    refused = [Refused(row.path, "coordinates", reasons[row.micrograph]) for row in imported.names[wrong].itertuples()]
    kept = ~imported.coordinates["micrograph"].isin(list(reasons))
    coordinates = imported.coordinates[kept].reset_index(drop=True)
    names = imported.names[~wrong].reset_index(drop=True)
    return imported._replace(coordinates=coordinates, names=names, refused=[*imported.refused, *refused])
