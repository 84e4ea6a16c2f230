"""What a dataset brings along, from all of its files: coordinates and CTF, matched with the micrographs and checked."""

from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from crisp_core.arrays import Array, array_grids, array_names, read_array
from crisp_core.coordinate_scale import (
    Contrasts,
    Fit,
    better_fit,
    contrast_map,
    contrasts_by_factor,
    pooled,
    scale_factors,
    stated_scale_fits,
)
from crisp_core.coordinates import (
    check_origin,
    is_coordinate_list,
    listed_files,
    match_names,
    nearest_name,
    origin_contrast,
    read_coordinates,
    read_origins,
    split_inside,
    to_top_left,
)
from crisp_core.errors import UserError
from crisp_core.geometry import Shape, angstrom_to_px, flipped_y, rescaled_xy
from crisp_core.quarantine import Refused
from crisp_core.star import COLUMNS, MICROSCOPE_LABELS, MicrographsCtf, micrograph_stem, read_micrographs_ctf

# fewer particles cannot tell up from down in one micrograph
PARTICLES_FOR_ORIGIN = 10


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
    """Read all coordinate files of a dataset; a bad file is refused alone.

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
    kept, taken, n_low = [], set(), 0
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
        names.loc[row.Index, "n_coordinates"] = len(on_image)
        kept.append(_placed(on_image, shapes[row.micrograph], origin=origin))
    _check_some_left(names, paths, refused, required)
    coordinates = _joined(kept)
    if required and coordinates.empty:
        raise UserError(_nothing_left(paths, refused, n_low))
    return Imported(coordinates, names, refused, _score_notes(tables, least_score, n_low))


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


def import_ctf(path: str, micrographs: Sequence[str], **microscope: float) -> MicrographsCtf:
    """Read the CTF of a dataset's micrographs, matched by name; those that the file lacks are left out.

    Parameters
    ----------
    path : str
        RELION's `micrographs_ctf.star`.
    micrographs : sequence of str
        Stems.
    **microscope : float
        voltage_kv, spherical_aberration_mm and amplitude_contrast, where the file does not say them.

    Returns
    -------
    MicrographsCtf
        In the order of `micrographs`; with all optics groups of the file, and what each says of the microscope.

    Raises
    ------
    UserError
        If the file cannot be used, has no micrograph of the dataset, or two lines for one.
    """
    given = read_micrographs_ctf(path)
    try:
        matched = match_names(given.micrographs["micrograph"].tolist(), micrographs)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    matched = matched[matched["micrograph"] != ""]
    if matched.empty:
        raise UserError(f"{path}: has no line for any micrograph; give the star file of RELION's CTF job")
    repeated = matched.loc[matched["micrograph"].duplicated(keep=False)]
    if len(repeated):
        first = " and ".join(repeated.loc[repeated["micrograph"] == repeated["micrograph"].iloc[0], "name"])
        raise UserError(f"{path}: {first} both mean micrograph {repeated['micrograph'].iloc[0]}; remove one line")
    table = given.micrographs.loc[matched.index].assign(micrograph=matched["micrograph"])
    known = [name for name in micrographs if name in set(table["micrograph"])]
    table = table.set_index("micrograph").loc[known].reset_index()
    missing = {label: microscope[key] for label, key in MICROSCOPE_LABELS.items() if label not in given.groups}
    return MicrographsCtf(table, given.groups.assign(**missing))


def without_ctf(micrographs: Mapping[str, str], ctf: MicrographsCtf, *, source: str) -> list[Refused]:
    """What to say of micrographs (path by name) that have no CTF in the file `source`."""
    reason = f"{source} has no line for it, so its picks give no particle images; estimate its CTF, or leave it out"
    known = set(ctf.micrographs["micrograph"])
    return [Refused(path, "ctf", reason) for name, path in micrographs.items() if name not in known]


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
                raise UserError(
                    f"{path}: has coordinates without a score, so least_score cannot sort them; leave it out"
                )
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
    options = {"diameter_angstrom": diameter_angstrom, "origin": origin, "scale": scale}

    def advice(table: pd.DataFrame) -> str:
        name = table["micrograph"].iloc[0]
        return scale_advice(table[["x", "y"]].to_numpy(), read_array(file_of[name], "image", name), **options)

    imported = import_coordinates(
        paths, shapes, origin=origin, scale=scale, required=required, advice=advice, **settings
    )
    named = set(imported.names["micrograph"])
    images = ((name, read_array(file, "image", name)) for name, file in file_of.items() if name in named)
    wrong, notes = check_against_images(imported.coordinates, images, source=source, required=required, **options)
    return without(imported._replace(notes=[*imported.notes, *notes]), wrong)


def check_against_images(
    coordinates: pd.DataFrame,
    images: Iterable[tuple[str, Array]],
    *,
    diameter_angstrom: float,
    source: str,
    origin: str = "top-left",
    scale: float = 1.0,
    required: bool = True,
) -> tuple[dict[str, str], list[str]]:
    """Refuse coordinates that fit their micrographs clearly better upside down or at another scale.

    Parameters
    ----------
    coordinates : DataFrame
        Columns micrograph, x, y in full-resolution pixels from the top-left, as the stated origin and scale give them.
    images : iterable of (micrograph, Array)
        Prepared micrographs.
    diameter_angstrom : float
        Particle diameter in Å.
    source : str
        What the message names.
    origin : str
        The stated origin.
    scale : float
        The stated scale, for the message.
    required : bool
        Whether it is a mistake that no micrograph's coordinates are left.

    Returns
    -------
    tuple of dict and list
        Reason by micrograph, for those whose own coordinates are wrong while the others are not; and one line where the
        coordinates of some micrographs are too few, or show too little contrast, to be judged.

    Raises
    ------
    UserError
        If another origin or scale fits all of them together clearly better, and coordinates are required.
    """
    places = {name: rows[["x", "y"]].to_numpy() for name, rows in coordinates.groupby("micrograph")}
    flips: dict[bool, list[np.ndarray]] = {False: [], True: []}
    scales, factors = [], None
    wrong, unjudged, n_images, pixel_size = {}, [], 0, 1.0
    for name, image in images:
        n_images += 1
        xy = places.get(name, np.empty((0, 2)))
        upside_down = np.column_stack([xy[:, 0], flipped_y(xy[:, 1], image.full_shape[0])])
        for flipped, place in ((False, xy), (True, upside_down)):
            place = rescaled_xy(place, image.full_shape, image.data.shape)
            radius_px = angstrom_to_px(diameter_angstrom, image.pixel_size) / 2
            flips[flipped].append(origin_contrast(image.data, place, radius_px=radius_px))
        # the same factors for all, so that the evidence of small micrographs adds up
        factors = _factors(image, diameter_angstrom) if factors is None else factors
        as_given = xy if origin == "top-left" else upside_down
        scales.append(_contrasts(as_given, image, factors, diameter_angstrom, origin))
        pixel_size = _full_pixel_size(image)
        fit = better_fit(scales[-1], factors, at_least=PARTICLES_FOR_ORIGIN, pixel_size=pixel_size)
        try:
            if fit is not None:
                wrong[name] = f"the coordinates of {name}{_rescale(fit, scale, pixel_size)}"
            elif len(xy) >= PARTICLES_FOR_ORIGIN:
                check_origin(flips[False][-1], flips[True][-1], source=source)
        except UserError:
            wrong[name] = f"the coordinates of {name} fit it upside down; turn them around"
        if name not in wrong and not stated_scale_fits(scales[-1], at_least=PARTICLES_FOR_ORIGIN):
            unjudged.append(name)
    if scales and required:
        check_origin(np.concatenate(flips[False]), np.concatenate(flips[True]), source=source)
        fit = better_fit(pooled(scales), factors, at_least=PARTICLES_FOR_ORIGIN, pixel_size=pixel_size)
        if fit is not None:
            raise UserError(f"{source}: its coordinates{_rescale(fit, scale, pixel_size)}")
    return wrong, _unjudged_note(unjudged, n_images, source)


def scale_advice(xy: np.ndarray, image: Array, *, diameter_angstrom: float, origin: str, scale: float) -> str:
    """Text about the factor at which coordinates (n, 2), counted from `origin`, fit a micrograph; empty for none."""
    factors, pixel_size = _factors(image, diameter_angstrom), _full_pixel_size(image)
    contrasts = _contrasts(xy, image, factors, diameter_angstrom, origin)
    fit = better_fit(contrasts, factors, at_least=PARTICLES_FOR_ORIGIN, pixel_size=pixel_size)
    return "" if fit is None else f"; they{_rescale(fit, scale, pixel_size)}"


def _factors(image: Array, diameter_angstrom: float) -> np.ndarray:
    diameter_px = angstrom_to_px(diameter_angstrom, _full_pixel_size(image))
    return scale_factors(image.full_shape, diameter_px=diameter_px)


def _full_pixel_size(image: Array) -> float:
    """Pixel size of the micrograph that an array was made from, Å/px."""
    return image.pixel_size * image.data.shape[1] / image.full_shape[1]


def _contrasts(xy: np.ndarray, image: Array, factors: np.ndarray, diameter_angstrom: float, origin: str) -> Contrasts:
    radius_px = angstrom_to_px(diameter_angstrom, image.pixel_size) / 2
    contrast = contrast_map(image.data, radius_px=radius_px)
    options = {"full_shape": image.full_shape, "radius_px": radius_px, "origin": origin}
    return contrasts_by_factor(contrast, xy, factors, **options)


def _rescale(fit: Fit, scale: float, pixel_size: float) -> str:
    """End of the message about coordinates that fit at another scale."""
    unit = " (so they are in Å)" if np.isclose(fit.factor * pixel_size, 1) and pixel_size != 1 else ""
    turned, cure = "", f"set scale to {scale * fit.factor:.4g}"
    if fit.flipped:
        turned = " and counted from the other origin"
        cure += " and origin to the other of top-left and bottom-left"
    return (
        f" fit when multiplied by {fit.factor:.4g}{unit}{turned} (contrast {fit.contrast:.3f} there, "
        f"{fit.stated:.3f} as stated); {cure}, or give coordinates in pixels of the micrographs"
    )


def _unjudged_note(unjudged: Sequence[str], n_images: int, source: str) -> list[str]:
    if not unjudged:
        return []
    return [
        f"{source}: origin and scale are not proven on {len(unjudged)} of {n_images} micrographs, for instance "
        f"{unjudged[0]}, whose coordinates are too few or show too little contrast"
    ]


def without(imported: Imported, reasons: Mapping[str, str]) -> Imported:
    """What is left where the coordinates of some micrographs are refused, each for its reason."""
    wrong = imported.names["micrograph"].isin(list(reasons))
    refused = [Refused(row.path, "coordinates", reasons[row.micrograph]) for row in imported.names[wrong].itertuples()]
    kept = ~imported.coordinates["micrograph"].isin(list(reasons))
    coordinates = imported.coordinates[kept].reset_index(drop=True)
    names = imported.names[~wrong].reset_index(drop=True)
    return imported._replace(coordinates=coordinates, names=names, refused=[*imported.refused, *refused])
