"""Downloads of public datasets by name: CryoPPP's archives, and micrographs of EMPIAR.

Below the folder of the downloads, cryoppp/<id>/ is laid out like CryoPPP and empiar/<id>/ like EMPIAR.
"""

import logging
import tarfile
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath

from crisp_core.datasets.cryoppp import LISTING, coordinate_tables, wanted_names
from crisp_core.datasets.empiar import ENTRY, Source, image_set, listed_micrographs, read_entry, selected_names
from crisp_core.datasets.empiar import LISTING as EMPIAR_LISTING
from crisp_core.errors import UserError
from crisp_core.formats.large_downloads import announce, fetch_all, fetch_large, fetch_text, remote_bytes
from crisp_core.formats.settings import DownloadSettings
from crisp_core.formats.tables import read_table, write_table

log = logging.getLogger("crisp")


def fetch_cryoppp(empiar: str, downloads: DownloadSettings, *, count: int | None) -> None:
    """Download and unpack a dataset of CryoPPP, as far as it is not there yet.

    The archive is kept, so that more micrographs can be unpacked later; it may be deleted.

    Parameters
    ----------
    empiar : str
        Number of the EMPIAR entry.
    downloads : DownloadSettings
        Folder and addresses.
    count : int, optional
        Number of micrographs to unpack, the first by name; all by default.

    Raises
    ------
    UserError
        If the archive cannot be downloaded, is damaged, or is laid out in another way.
    """
    folder = downloads.data_folder / "cryoppp" / empiar
    if _is_unpacked(folder, count):
        log.info("CryoPPP %s: is already in %s", empiar, folder)
        return
    archive = folder.with_name(f"{empiar}.tar.gz")
    archive.parent.mkdir(parents=True, exist_ok=True)
    if not archive.exists():
        url = f"{downloads.cryoppp_url.rstrip('/')}/{archive.name}"
        announce({url: remote_bytes(url)}, archive.parent, f"CryoPPP {empiar}")
        fetch_large(url, archive)
    log.info("CryoPPP %s: unpacking %s", empiar, archive)
    try:
        _unpack(archive, folder, count)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise UserError(f"{archive}: is damaged ({error}); delete it, and download it again") from None


def _is_unpacked(folder: Path, count: int | None) -> bool:
    if not (folder / LISTING).exists():
        return False
    names = read_table(folder / LISTING)["micrograph"]
    return all((folder / "micrographs" / name).exists() for name in names[:count])


def _unpack(archive: Path, folder: Path, count: int | None) -> None:
    """Write the tables of coordinates, then the wanted micrographs, and their listing at last."""
    names = []
    with tarfile.open(archive) as packed:
        for member, parts in _files(packed, folder.name):
            if parts[0] == "micrographs":
                names.append(parts[-1])
            elif parts[0] == "ground_truth":
                _write(packed, member, folder.joinpath(*parts))
    labelled = wanted_names(names, coordinate_tables(folder), None)
    wanted = set(labelled[:count])
    with tarfile.open(archive) as packed:
        for member, parts in _files(packed, folder.name):
            if parts[0] == "micrographs" and parts[-1] in wanted:
                _write(packed, member, folder.joinpath(*parts))
    log.info("%s: %d of %d micrographs with coordinates", folder, len(wanted), len(labelled))
    write_table({"micrograph": labelled}, folder / LISTING)


def _files(packed: tarfile.TarFile, top: str) -> Iterator[tuple[tarfile.TarInfo, tuple[str, ...]]]:
    """Regular files below the folder of the dataset, and the parts of their paths in it; no path leaves it."""
    for member in packed:
        parts = PurePosixPath(member.name).parts
        inner = parts[parts.index(top) + 1 :] if top in parts else ()
        if member.isfile() and len(inner) > 1 and ".." not in inner:
            yield member, inner


def _write(packed: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    content = packed.extractfile(member)
    if content is None or (path.exists() and path.stat().st_size == member.size):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    with open(part, "wb") as file:
        while piece := content.read(2**20):
            file.write(piece)
    part.replace(path)


def fetch_empiar(
    source: Source,
    downloads: DownloadSettings,
    *,
    place: str,
    count: int | None,
    stems: Collection[str] | None = None,
) -> None:
    """Download micrographs of an EMPIAR entry, as far as they are not there yet.

    Parameters
    ----------
    source : Source
        Entry, with its directory if the config names one.
    downloads : DownloadSettings
        Folder and addresses.
    place : str
        Place in the config, for messages.
    count : int, optional
        Number of micrographs, the first by name; all by default.
    stems : collection of str, optional
        Stems of the micrographs with coordinates; the others are left out.

    Raises
    ------
    UserError
        If a file cannot be downloaded, or the entry has no directory of micrographs.
    """
    folder = downloads.data_folder / "empiar" / source.empiar
    _keep_text(source.entry_url(downloads.empiar_api_url), folder / ENTRY)
    chosen = image_set(read_entry(folder / ENTRY), source, place)
    directory = f"{downloads.empiar_url.rstrip('/')}/{source.empiar}/{chosen.directory}"
    listing = folder / chosen.directory / EMPIAR_LISTING
    listing.parent.mkdir(parents=True, exist_ok=True)
    if not listing.exists():
        names = listed_micrographs(fetch_text(f"{directory}/"))
        write_table({"micrograph": names}, listing)
    known = read_table(listing)["micrograph"]
    missing = [name for name in selected_names(known, count, stems) if not (listing.parent / name).exists()]
    if not missing:
        log.info("EMPIAR-%s: is already in %s", source.empiar, listing.parent)
        return
    sizes = {f"{directory}/{name}": remote_bytes(f"{directory}/{name}") for name in missing}
    announce(sizes, listing.parent, f"EMPIAR-{source.empiar}")
    fetch_all(sizes, [listing.parent / name for name in missing], f"EMPIAR-{source.empiar}")


def _keep_text(url: str, path: Path) -> None:
    """Write the text of an address into a file, unless it is there."""
    if not path.exists():
        text = fetch_text(url)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
