"""Entries of EMPIAR: which directory has the micrographs, their pixel size, and the listing of a directory.

Sources: EMPIAR's REST API, https://www.ebi.ac.uk/empiar/api/entry/EMPIAR-10017/, with the fields of its deposition
schema, and the directories below https://ftp.ebi.ac.uk/empiar/world_availability/, which are pages of links.
"""

import json
from collections.abc import Collection
from html.parser import HTMLParser
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import unquote

from crisp_core.datasets.byproducts import find_byproducts
from crisp_core.errors import UserError
from crisp_core.formats.stems import micrograph_stem
from crisp_core.formats.tables import read_table

SUFFIXES = (".mrc", ".tif", ".tiff")
# Files of an entry in the folder of the downloads.
ENTRY, LISTING = "entry.json", "listing.tsv"


class Source(NamedTuple):
    """Entry of EMPIAR, and the directory of its micrographs if the config names one."""

    empiar: str
    directory: str | None

    def entry_url(self, api_url: str) -> str:
        """Address of the description of the entry."""
        return f"{api_url.rstrip('/')}/EMPIAR-{self.empiar}/"


def parse_source(given: int | str, place: str) -> Source:
    """Entry and directory of a value such as 10017 or 10028/data/Micrographs/Micrographs_part1.

    Raises
    ------
    UserError
        If it does not begin with a number.
    """
    number, _, directory = str(given).removeprefix("EMPIAR-").partition("/")
    if not number.isdigit() or ".." in directory.split("/"):
        raise UserError(
            f"{place}/empiar: {given!r} is not an entry; give its number, such as 10017, or 10028/data/part1"
        )
    return Source(number, directory.strip("/") or None)


class ImageSet(NamedTuple):
    """Directory of micrographs, relative to the entry, and their pixel size in Å/px where the entry states it."""

    directory: str
    pixel_size: float | None


def read_entry(path: Path) -> dict[str, Any]:
    """Read EMPIAR's description of an entry from the file of its download.

    Raises
    ------
    UserError
        If the file is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        raise UserError(f"{path}: is not EMPIAR's description of the entry; delete it, and download it again") from None


def image_set(description: dict[str, Any], source: Source, place: str) -> ImageSet:
    """Image set of an entry that has the micrographs.

    Parameters
    ----------
    description : dict
        Answer of the API.
    source : Source
        Entry, with its directory if the config names one.
    place : str
        Place in the config, for messages.

    Raises
    ------
    UserError
        If the answer is of another kind, or no single image set consists of motion-corrected micrographs.
    """
    try:
        sets = description[f"EMPIAR-{source.empiar}"]["imagesets"]
        found = [ImageSet(_directory(one), _pixel_size(one)) for one in sets if _is_single_frame(one)]
    except (KeyError, TypeError, AttributeError):
        raise UserError(
            f"{place}/empiar: EMPIAR's description of entry {source.empiar} has an unknown form; download the "
            "micrographs by hand, and give micrographs in place of empiar"
        ) from None
    if source.directory is not None:
        below = [one for one in found if PurePosixPath(source.directory).is_relative_to(one.directory)]
        return ImageSet(source.directory, below[0].pixel_size if len(below) == 1 else None)
    if len(found) != 1:
        names = ", ".join(f"{source.empiar}/{one.directory}" for one in found) or "none"
        raise UserError(
            f"{place}/empiar: {source.empiar} has {len(found)} image sets of motion-corrected micrographs ({names}); "
            "give one with its directory; if there is none, name another entry, since movies alone cannot be picked"
        )
    return found[0]


def _is_single_frame(one: dict[str, Any]) -> bool:
    category = str(one["category"]).lower()
    # older entries have the code of the schema
    return "micrographs - single frame" in category or "'t1'" in category


def _directory(one: dict[str, Any]) -> str:
    directory = str(one["directory"]).strip("/")
    return directory if directory.split("/")[0] == "data" else f"data/{directory}".rstrip("/")


def _pixel_size(one: dict[str, Any]) -> float | None:
    width, height = one.get("pixel_width"), one.get("pixel_height")
    if width is None:
        return None
    try:
        size = float(width)
        is_square = height is None or float(height) == size
    except ValueError:
        return None
    return size if is_square else None


class _Links(HTMLParser):
    """Collects the addresses of all links of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep the address of a link."""
        self.found += [value for key, value in attrs if tag == "a" and key == "href" and value]


def listed_micrographs(page: str) -> list[str]:
    """Return the file names of the micrographs to which the page of a directory links, sorted."""
    links = _Links()
    links.feed(page)
    # a link to another directory has a slash
    names = {unquote(link) for link in links.found if "/" not in link and "?" not in link}
    return sorted(name for name in names if "/" not in name and name.lower().endswith(SUFFIXES))


def downloaded_set(folder: Path, source: Source, place: str) -> tuple[ImageSet, list[str]]:
    """Image set of an entry in the folder of its downloads, and the file names of all its micrographs.

    Parameters
    ----------
    folder : Path
        Folder of the entry.
    source : Source
        Entry, with its directory if the config names one.
    place : str
        Place in the config, for messages.

    Raises
    ------
    FileNotFoundError
        If the entry was not listed yet.
    """
    chosen = image_set(read_entry(folder / ENTRY), source, place)
    listing = read_table(folder / chosen.directory / LISTING)
    return chosen, list(listing["micrograph"])


def selected_names(names: Collection[str], count: int | None, stems: Collection[str] | None) -> list[str]:
    """First file names, sorted, of micrographs with coordinates, or of all but by-products where `stems` is None.

    Parameters
    ----------
    names : collection of str
        File names of an EMPIAR directory.
    count : int, optional
        Number of micrographs; all by default.
    stems : collection of str, optional
        Stems of the micrographs with coordinates.
    """
    if stems is None:
        gone = find_byproducts(sorted(names))
        return sorted(set(names) - gone.keys())[:count]
    return sorted(name for name in names if micrograph_stem(name) in stems)[:count]
