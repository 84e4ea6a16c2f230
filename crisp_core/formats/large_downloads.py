"""Downloads of large files: they resume after a break, show their progress, and are checked when they are complete."""

import base64
import logging
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import pooch
import requests
from tqdm import tqdm

from crisp_core.errors import UserError
from crisp_core.formats.downloads import CHUNK_BYTES, TIMEOUT_S, failure_reason, keep_packed

# Calls of the server for one file, each of which resumes the one before.
ATTEMPTS = 4
HEADERS = {"Accept-Encoding": "identity"}
# Beginnings of a page that a server sends in place of a file.
PAGES = (b"<?xml", b"<!doctype", b"<html", b"<error")

log = logging.getLogger("crisp")


def remote_bytes(url: str) -> int:
    """Length of a file in bytes, as its server states it; 0 if it states none.

    Raises
    ------
    UserError
        If the server cannot be reached or lacks the file.
    """
    try:
        with requests.head(url, headers=HEADERS, timeout=TIMEOUT_S, allow_redirects=True) as answer:
            answer.raise_for_status()
            return int(answer.headers.get("Content-Length", 0))
    except requests.RequestException as error:
        raise UserError(f"{url}: {failure_reason(error)}") from None


def announce(sizes: Mapping[str, int], folder: Path, name: str) -> None:
    """Tell how much a download takes before it starts.

    Parameters
    ----------
    sizes : mapping of str to int
        Bytes of each file that is still missing, by address; 0 where the server states none.
    folder : Path
        Folder of the files.
    name : str
        Name of the data for the message.

    Raises
    ------
    UserError
        If the disk has too little space.
    """
    total, free = sum(sizes.values()), shutil.disk_usage(folder).free
    unknown = sum(not size for size in sizes.values())
    more = f" and {unknown} of unknown size" if unknown else ""
    log.info("%s: %d files, %.2f GB%s, into %s (%.1f GB free)", name, len(sizes), total / 1e9, more, folder, free / 1e9)
    if total > free:
        raise UserError(
            f"{folder}: {name} needs {total / 1e9:.2f} GB and the disk has {free / 1e9:.2f} GB; set downloads/folder "
            "in the config, or ask for fewer micrographs"
        )


def fetch_large(url: str, path: Path) -> Path:
    """Download a file unless it is there; a broken download resumes, also in a later call.

    The file gets its name when it is complete: it has the length that the server states, and its MD5 if the server
    states one (Content-MD5).

    Parameters
    ----------
    url : str
        Address of the file.
    path : Path
        File to write. Until it is complete, its bytes are in `<name>.part` beside it.

    Raises
    ------
    UserError
        If the server cannot be reached, stops sending or lacks the file, or if the folder cannot be written.
    """
    pooch.get_logger().setLevel(logging.WARNING)
    try:
        pooch.retrieve(url, known_hash=None, fname=path.name, path=path.parent, downloader=_Resumed(path))
        # a temporary file is readable by its owner only, but others may share the folder
        path.chmod(0o644)
    except OSError as error:
        raise UserError(
            f"{path.parent}: cannot keep a download ({error}); set downloads/folder in the config"
        ) from None
    return path


class _Resumed:
    """Downloader of pooch that keeps the bytes of a broken transfer beside the file."""

    def __init__(self, path: Path) -> None:
        self.part = path.with_name(f"{path.name}.part")
        # names the version on the server that the bytes belong to
        self.version = path.with_name(f"{path.name}.version")

    def __call__(self, url: str, output_file: str, caller: pooch.Pooch | None) -> None:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                digest = self.transfer(url)
                break
            except requests.RequestException as error:
                if attempt == ATTEMPTS or _is_final(error):
                    kept = f" ({self.kept() / 1e6:.1f} MB are kept; the next call resumes)" if self.kept() else ""
                    raise UserError(f"{url}: {failure_reason(error)}{kept}") from None
                log.warning("%s: the transfer broke off after %.1f MB; it resumes", url, self.kept() / 1e6)
        self.check(url, digest)
        self.part.replace(output_file)
        self.version.unlink(missing_ok=True)

    def kept(self) -> int:
        """Number of bytes that earlier transfers left."""
        return self.part.stat().st_size if self.part.exists() else 0

    def transfer(self, url: str) -> str | None:
        """Receive what is missing; return the MD5 that the server states, in hexadecimal digits."""
        kept, version = self.kept(), self.version.read_text() if self.version.exists() else ""
        resume = {"Range": f"bytes={kept}-", "If-Range": version} if kept and version else {}
        with requests.get(
            url, headers=HEADERS | resume, stream=True, timeout=TIMEOUT_S, hooks={"response": keep_packed}
        ) as answer:
            if answer.status_code == requests.codes.requested_range_not_satisfiable:
                self.part.unlink()
                return self.transfer(url)
            answer.raise_for_status()
            start = kept if answer.status_code == requests.codes.partial_content else 0
            tag = answer.headers.get("ETag", "")
            # If-Range takes no weak tag
            self.version.write_text(
                tag if tag and not tag.startswith("W/") else answer.headers.get("Last-Modified", "")
            )
            self.receive(answer, start)
            # of a part of the file it would be the digest of that part
            stated = None if start else answer.headers.get("Content-MD5")
        return base64.b64decode(stated).hex() if stated else None

    def receive(self, answer: requests.Response, start: int) -> None:
        """Append the body of an answer to the bytes that are kept, from byte `start` on."""
        length = answer.headers.get("Content-Length")
        total = None if length is None else start + int(length)
        # the bar shows on a terminal alone
        bar = tqdm(
            total=total, initial=start, unit="B", unit_scale=True, desc=self.part.stem, disable=None, leave=False
        )
        with open(self.part, "ab" if start else "wb") as file, bar:
            for piece in answer.iter_content(CHUNK_BYTES):
                file.write(piece)
                bar.update(len(piece))
        if total is not None and self.kept() < total:
            raise requests.exceptions.ChunkedEncodingError("incomplete")

    def check(self, url: str, digest: str | None) -> None:
        """Refuse a page in place of the file, and a file with another MD5; such bytes are removed."""
        with open(self.part, "rb") as file:
            is_page = file.read(16).lstrip().lower().startswith(PAGES)
        if is_page or (digest and pooch.file_hash(str(self.part), alg="md5") != digest):
            self.part.unlink()
            self.version.unlink(missing_ok=True)
            damage = (
                "the server sent a page in its place" if is_page else "its MD5 is not the one that the server states"
            )
            raise UserError(f"{url}: the download is damaged ({damage}); try again later")


def _is_final(error: requests.RequestException) -> bool:
    """Whether another call would fail in the same way: the server lacks the file, or cannot be reached at all."""
    if isinstance(error, requests.HTTPError):
        return True
    transient = (requests.Timeout, requests.exceptions.ChunkedEncodingError)
    return not isinstance(error, transient) and "timed out" not in str(error)


def fetch_all(sizes: Mapping[str, int], paths: Sequence[Path], name: str) -> None:
    """Download several files, one after the other.

    Parameters
    ----------
    sizes : mapping of str to int
        Bytes of each file by address, in the order of `paths`.
    paths : sequence of Path
        Files to write.
    name : str
        Name of the data for the messages.
    """
    for i, (url, path) in enumerate(zip(sizes, paths, strict=True), start=1):
        log.info("%s: %d of %d, %s", name, i, len(paths), path.name)
        fetch_large(url, path)


def fetch_text(url: str) -> str:
    """Text of a page.

    Raises
    ------
    UserError
        If the server cannot be reached or lacks the page.
    """
    try:
        answer = requests.get(url, timeout=TIMEOUT_S)
        answer.raise_for_status()
    except requests.RequestException as error:
        raise UserError(f"{url}: {failure_reason(error)}") from None
    return answer.text
