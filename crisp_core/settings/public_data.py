"""Datasets that a config names by their number in CryoPPP or EMPIAR, as ordinary datasets of files.

`python -m crisp_core.settings.public_data my-data.yaml` downloads what the config names. The workflow itself downloads
nothing: it reads the folder of the downloads, and ends with one line where something is missing.
"""

import argparse
import copy
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from crisp_core.datasets.cryoppp import (
    LISTING,
    check_pixel_size,
    coordinate_tables,
    cryoppp_entry,
    published_particle,
)
from crisp_core.datasets.empiar import Source, downloaded_set, parse_source, selected_names
from crisp_core.errors import UserError
from crisp_core.formats.settings import DownloadSettings
from crisp_core.formats.text import read_text
from crisp_core.mistakes import one_line
from crisp_core.paths import with_home
from crisp_core.settings.inheritance import extended, merged

SOURCES, COUNT = ("cryoppp", "empiar"), "micrographs_count"
# keys of a dataset whose values must be known; the defaults of other datasets do not hold here
REQUIRED = ("pixel_size", "voltage_kv", "spherical_aberration_mm", "particle_diameter_angstrom")
COMMAND = "python -m crisp_core.settings.public_data"

log = logging.getLogger("crisp")


def public_datasets(given: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Datasets of a config that name CryoPPP or EMPIAR, with the keys that they inherit.

    Raises
    ------
    UserError
        If one of their keys has a wrong type, or contradicts another.
    """
    entries = given.get("datasets")
    if not isinstance(entries, dict):
        return
    for name in entries:
        entry = extended(entries, name, "datasets")
        if isinstance(entry, dict) and any(entry.get(key) is not None for key in (*SOURCES, COUNT)):
            _check(f"config, datasets/{name}", entry)
            yield name, entry


def _check(place: str, entry: Mapping[str, Any]) -> None:
    named = [key for key in SOURCES if entry.get(key) is not None]
    if not named:
        raise UserError(f"{place}/{COUNT}: works only with cryoppp or empiar; give one of them, or leave it out")
    for key in named:
        if isinstance(entry[key], bool) or not isinstance(entry[key], int | str) or entry[key] == "":
            raise UserError(f"{place}/{key}: {entry[key]!r} is not an entry; give its number, such as 10017")
    both = [key for key in ("micrographs", "simulation") if entry.get(key) is not None]
    if both:
        raise UserError(f"{place}: {named[0]} and {both[0]} are two sources of micrographs; remove one")
    count = entry.get(COUNT)
    if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 1):
        raise UserError(f"{place}/{COUNT}: {count!r} is not a number of micrographs; give one such as 20")


def with_public_data(given: dict[str, Any]) -> dict[str, Any]:
    """Config in which datasets of CryoPPP and EMPIAR name files and values; other configs as they are.

    Keys that the config gives take precedence.

    Raises
    ------
    UserError
        If something is not downloaded yet, or neither the data nor the config states a value.
    """
    found = dict(public_datasets(given))
    if not found:
        return given
    settings = copy.deepcopy(given)
    downloads = download_settings(given)
    for name, entry in found.items():
        place = f"config, datasets/{name}"
        rest = {key: value for key, value in entry.items() if key not in (*SOURCES, COUNT, "extend")}
        full = merged(_without_replaced(described(entry, downloads, place), rest), rest)
        _check_known(full, entry, place)
        settings["datasets"][name] = full
    for name in found:
        _keep_extend(settings["datasets"], name, given["datasets"][name].get("extend"))
    return settings


def _keep_extend(entries: dict[str, Any], name: str, parent: str | None) -> None:
    """Name the parent again, from which corrections may come, where inheriting from it changes no key."""
    child = {**entries[name], "extend": parent}
    if parent in entries and extended(entries | {name: child}, name, "datasets") == child:
        entries[name] = child


def _without_replaced(found: dict[str, Any], rest: Mapping[str, Any]) -> dict[str, Any]:
    """Keys that the files give, without coordinates if the config names other files: their format and origin differ."""
    given = rest.get("coordinates")
    is_replaced = isinstance(given, dict) and given.get("files") is not None
    return {key: value for key, value in found.items() if not (is_replaced and key == "coordinates")}


def download_settings(given: Mapping[str, Any]) -> DownloadSettings:
    """Section downloads of a config that is not validated yet."""
    section = given.get("downloads") or {}
    try:
        return DownloadSettings.model_validate(section)
    except ValidationError as error:
        raise UserError(one_line(error, section, DownloadSettings, place="config, downloads")) from error


def described(entry: Mapping[str, Any], downloads: DownloadSettings, place: str) -> dict[str, Any]:
    """Keys that the files of a dataset give.

    Parameters
    ----------
    entry : mapping
        Keys of the dataset in the config.
    downloads : DownloadSettings
        Folder of the downloads.
    place : str
        Place in the config, for messages.
    """
    given = entry.get("pixel_size")
    # anything else is refused with the other settings
    pixel_size = float(given) if isinstance(given, int | float) else None
    labelled = None if entry.get("cryoppp") is None else cryoppp_folder(entry, downloads, place)
    if entry.get("empiar") is not None:
        return _of_empiar(entry, downloads, place, pixel_size=pixel_size, labelled=labelled)
    assert labelled is not None
    return cryoppp_entry(
        labelled, place=place, pixel_size=pixel_size, count=entry.get(COUNT), origin=_given_origin(entry)
    )


def _given_origin(entry: Mapping[str, Any]) -> str | None:
    """Key coordinates/origin of a dataset; the settings refuse a wrong one later."""
    coordinates = entry.get("coordinates")
    return coordinates.get("origin") if isinstance(coordinates, dict) else None


def _of_empiar(
    entry: Mapping[str, Any],
    downloads: DownloadSettings,
    place: str,
    *,
    pixel_size: float | None,
    labelled: Path | None,
) -> dict[str, Any]:
    """As `described`, of micrographs of EMPIAR; `labelled` is the folder of CryoPPP with their coordinates."""
    source = parse_source(entry["empiar"], place)
    directory, stated = _downloaded(source, entry, downloads, place, labelled)
    if entry.get("pixel_size") is None and stated is not None:
        check_pixel_size(stated, source.empiar, source="EMPIAR", place=place)
        pixel_size = stated
    if labelled is not None:
        return cryoppp_entry(
            labelled, place=place, pixel_size=pixel_size, micrographs=directory, origin=_given_origin(entry)
        )
    particle = published_particle(source.empiar)
    diameter = None if particle is None else particle.diameter_angstrom
    values = {"pixel_size": pixel_size, "particle_diameter_angstrom": diameter}
    return {"micrographs": directory} | {key: value for key, value in values.items() if value is not None}


def _downloaded(
    source: Source, entry: Mapping[str, Any], downloads: DownloadSettings, place: str, labelled: Path | None
) -> tuple[list[str], float | None]:
    """Paths of the wanted micrographs of EMPIAR, which must be there, and the pixel size (Å/px) that EMPIAR states."""
    folder = downloads.data_folder / "empiar" / source.empiar
    try:
        chosen, names = downloaded_set(folder, source, place)
    except FileNotFoundError:
        raise UserError(f"{place}/empiar: EMPIAR-{source.empiar} is not downloaded yet; {_cure()}") from None
    stems = None if labelled is None else coordinate_tables(labelled)
    paths = [folder / chosen.directory / name for name in selected_names(names, entry.get(COUNT), stems)]
    missing = [path for path in paths if not path.exists()]
    if missing or not paths:
        raise UserError(
            f"{place}/empiar: {len(paths) - len(missing)} of {len(paths)} micrographs of EMPIAR-{source.empiar} are "
            f"downloaded; {_cure()}"
        )
    return [str(path) for path in paths], chosen.pixel_size


def cryoppp_folder(entry: Mapping[str, Any], downloads: DownloadSettings, place: str) -> Path:
    """Folder of a dataset of CryoPPP: the one that the config names, or the one of its download.

    Parameters
    ----------
    entry : mapping
        Keys of the dataset in the config.
    downloads : DownloadSettings
        Folder of the downloads.
    place : str
        Place in the config, for messages.
    """
    given = entry["cryoppp"]
    if not is_number(given):
        folder = Path(str(with_home(given)))
        if not folder.is_dir():
            raise UserError(f"{place}/cryoppp: {given} is not a folder; give the folder of an entry, or its number")
        return folder
    folder = downloads.data_folder / "cryoppp" / str(given)
    if not (folder / LISTING).exists():
        raise UserError(f"{place}/cryoppp: CryoPPP {given} is not downloaded yet; {_cure()}")
    return folder


def is_number(given: int | str) -> bool:
    """Whether a value of `cryoppp` is the number of an entry, and not a folder."""
    return isinstance(given, int) or given.isdigit()


def _cure() -> str:
    return f"run {COMMAND} with your config file first"


def _check_known(full: Mapping[str, Any], entry: Mapping[str, Any], place: str) -> None:
    """Refuse a dataset for which neither its data nor the config states the optics and the particle's size."""
    missing = [key for key in REQUIRED if full.get(key) is None]
    if missing:
        named = " and ".join(f"{key} {entry[key]}" for key in SOURCES if entry.get(key) is not None)
        folder = entry.get("cryoppp")
        number = Path(str(folder)).name if folder is not None else parse_source(entry["empiar"], place).empiar
        particle = published_particle(number)
        size = None if particle is None else particle.pixel_size
        hint = f" (the published diameters suggest about {size:.3g} Å/px)" if "pixel_size" in missing and size else ""
        raise UserError(f"{place}: {named} does not state {', '.join(missing)}{hint}; look them up, and give them")


def download(given: Mapping[str, Any]) -> int:
    """Download all public data that a config names; return the number of datasets."""
    # the main process of Snakemake downloads nothing
    from crisp_core.datasets.public_downloads import fetch_cryoppp, fetch_empiar

    downloads, found = download_settings(given), list(public_datasets(given))
    for name, entry in found:
        place, count = f"config, datasets/{name}", entry.get(COUNT)
        labelled, stems = entry.get("cryoppp"), None
        if labelled is not None and is_number(labelled):
            # the micrographs of EMPIAR replace those of the archive
            fetch_cryoppp(str(labelled), downloads, count=count if entry.get("empiar") is None else 0)
        if entry.get("empiar") is not None:
            if labelled is not None:
                stems = coordinate_tables(cryoppp_folder(entry, downloads, place))
            fetch_empiar(parse_source(entry["empiar"], place), downloads, place=place, count=count, stems=stems)
    return len(found)


def main(arguments: Sequence[str] | None = None) -> None:
    """Download the public data of config files."""
    parser = argparse.ArgumentParser(prog=COMMAND, description=main.__doc__)
    parser.add_argument("configfile", nargs="+", help="config files of the workflow; later ones take precedence")
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    given: Any = {}
    try:
        for path in parser.parse_args(arguments).configfile:
            read = yaml.safe_load(read_text(path)) or {}
            if not isinstance(read, dict):
                raise UserError(f"{path}: is not a config file, which has keys and values; give one")
            given = merged(given, read)
        n = download(given)
    except yaml.YAMLError as error:
        sys.exit(f"error: {path}: is not YAML ({' '.join(str(error).split())}); correct it")
    except UserError as error:
        sys.exit(f"error: {error}")
    log.info("%d public datasets are in %s", n, download_settings(given).data_folder)


if __name__ == "__main__":
    main()
