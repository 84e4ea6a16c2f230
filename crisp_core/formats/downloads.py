"""Downloads of maps and models from the data banks, checked and kept in a folder."""

import gzip
import logging
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import pooch
import requests
import urllib3

from crisp_core.errors import UserError

# Seconds without a byte after which a download is given up.
TIMEOUT_S = 30
CHUNK_BYTES = 2**20
BY_HAND = "or download the file by hand and give its path"

log = logging.getLogger("crisp")


def emdb_map_url(entry: str, base_url: str) -> str:
    """Address of the map of an EMDB entry (`EMD-2984`) below `base_url`, which is laid out like the archive."""
    entry = entry.upper()
    return f"{base_url.rstrip('/')}/{entry}/map/{entry.lower().replace('-', '_')}.map.gz"


def pdb_model_url(entry: str, base_url: str) -> str:
    """Address of the atomic model (mmCIF) of a PDB entry (`5A1A`) below `base_url`."""
    return f"{base_url.rstrip('/')}/{entry.upper()}.cif.gz"


def fetch(url: str, *, folder: str | Path | None = None) -> Path:
    """Download a file unless the folder already has it.

    A file gets its name in the folder only when it is complete: it has the length that the server stated, and a `.gz`
    file decompresses without error. A kept `.gz` file is tested again at each call and replaced if damaged.

    Parameters
    ----------
    url : str
        Address; its last part becomes the name of the file.
    folder : str or Path, optional
        Folder of the downloads, by default the user's cache folder for CRISP.

    Returns
    -------
    Path

    Raises
    ------
    UserError
        If the server cannot be reached, stops sending or lacks the file, or if the folder cannot be written.
    """
    folder = Path(folder).expanduser() if folder is not None else Path(pooch.os_cache("crisp"))
    path = folder / url.rsplit("/", 1)[-1]
    if _is_kept(path):
        log.info("using the earlier download %s", path)
        return path
    # its log would show the hash of the file
    pooch.get_logger().setLevel(logging.WARNING)
    log.info("downloading %s", url)
    try:
        pooch.retrieve(url, known_hash=None, fname=path.name, path=folder, downloader=_download)
        # a temporary file is readable by its owner only, but others may share the folder
        path.chmod(0o644)
    except requests.RequestException as error:
        raise UserError(f"{url}: {failure_reason(error)}") from None
    except OSError as error:
        raise UserError(f"{folder}: cannot keep a download ({error}); set downloads/folder in the config") from None
    log.info("downloaded %s, %.1f MB", path, path.stat().st_size / 1e6)
    return path


def check_unpacked(path: str | Path, *, max_bytes: int) -> None:
    """Refuse a `.gz` file that would fill the memory when it is decompressed; other files pass.

    Raises
    ------
    UserError
        If it decompresses to more than `max_bytes`.
    OSError, EOFError, zlib.error
        If it is damaged.
    """
    if Path(path).suffix.lower() != ".gz":
        return
    n_bytes = 0
    for piece in _unpacked(path):
        n_bytes += len(piece)
        if n_bytes > max_bytes:
            raise UserError(
                f"{path}: decompresses to more than {max_bytes / 1e6:.0f} MB, more than any model; check the file"
            )


def _unpacked(path: str | Path) -> Iterator[bytes]:
    with gzip.open(path, "rb") as file:
        while piece := file.read(CHUNK_BYTES):
            yield piece


def _is_kept(path: Path) -> bool:
    """Whether the folder holds an intact file; a damaged one is removed."""
    if not path.exists():
        return False
    damage = _damage(path, packed=path.suffix == ".gz")
    if damage:
        log.warning("%s is damaged (%s), so it is downloaded again", path, damage)
        path.unlink(missing_ok=True)
    return damage is None


def _download(url: str, output_file: str, caller: pooch.Pooch | None) -> None:
    """Save the bytes of `url` and check them; pooch calls this with a temporary name."""
    download = pooch.HTTPDownloader(
        progressbar=sys.stderr.isatty(),
        chunk_size=CHUNK_BYTES,
        timeout=TIMEOUT_S,
        headers={"Accept-Encoding": "identity"},
        hooks={"response": keep_packed},
    )
    download(url, output_file, caller)
    damage = _damage(Path(output_file), packed=url.endswith(".gz"))
    if damage:
        raise UserError(f"{url}: the download is damaged ({damage}); try again later, {BY_HAND}")


def keep_packed(response: requests.Response, **_: object) -> None:
    """Keep a .gz file as it is, also if a server declares it a compressed answer, which requests would decompress."""
    response.raw.headers.pop("Content-Encoding", None)


def _damage(path: Path, *, packed: bool) -> str | None:
    """Describe the damage of a file; None if it is intact. A gzip file is read to its end."""
    if not path.stat().st_size:
        return "0 bytes"
    if not packed:
        return None
    try:
        for _ in _unpacked(path):
            pass
    except (OSError, EOFError, zlib.error) as error:
        return str(error)
    return None


def failure_reason(error: requests.RequestException) -> str:
    """Reason why a download failed, and the cure."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        status = error.response.status_code
        if status in (404, 410):
            return f"the server has no such file ({status}); check the id, {BY_HAND}"
        return f"the server answers {status} {error.response.reason}; try again later, {BY_HAND}"
    # requests raises a ConnectionError for a time-out during the transfer
    cause = error.args[0] if error.args else None
    if isinstance(error, requests.Timeout) or isinstance(cause, urllib3.exceptions.TimeoutError):
        return f"no answer within {TIMEOUT_S} s; try again later, {BY_HAND}"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return f"the transfer broke off; try again, {BY_HAND}"
    if isinstance(error, requests.ConnectionError):
        return f"cannot be reached; connect this machine to the network, {BY_HAND}"
    return f"cannot be downloaded ({error}); correct the address (downloads in the config), {BY_HAND}"
