"""Local server of a folder of results: its pages, and the corrections that they save.

It listens on the loopback address alone. The first part of every address is a token of the call, so that other users of
the machine and other pages in the browser cannot read or write. The header Origin tells that a page is of another
origin, and the header Host that its own domain name points to this machine (DNS rebinding); both are refused.
"""

import errno
import hashlib
import logging
import secrets
import threading
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from crisp_core.errors import UserError
from crisp_core.formats.corrections import read_corrections

log = logging.getLogger("crisp")

LOOPBACK = "127.0.0.1"
CORRECTIONS, PAGE = "corrections.json", "report.html"
LARGEST_BYTES = 64 * 2**20
# on every answer: the address with its token goes to no other page, and no other page may show or keep the content
HEADERS = {
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "frame-ancestors 'none'",
    "Cache-Control": "no-store",
}


class Refused(Exception):
    """Request that is refused, with its status and a line of text."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


class ResultsServer(ThreadingHTTPServer):
    """Server of one folder on the loopback address; `address` is the page to open."""

    daemon_threads = True

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.token, self.saving = folder.resolve(), secrets.token_urlsafe(24), threading.Lock()
        super().__init__((LOOPBACK, port), Handler)

    @property
    def address(self) -> str:
        """Address of the index of all runs, or of the folder if it has none."""
        start = PAGE if (self.folder / PAGE).is_file() else ""
        return f"http://{LOOPBACK}:{self.server_port}/{self.token}/{start}"


def start_server(folder: Path, port: int) -> ResultsServer:
    """Open the port; `serve_forever` of the result then answers.

    Raises
    ------
    UserError
        If the folder does not exist or the port cannot be opened.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; give the folder of the results")
    try:
        return ResultsServer(folder, port)
    except (OSError, OverflowError) as error:
        taken = getattr(error, "errno", None) == errno.EADDRINUSE
        reason = "is used by another program" if taken else f"cannot be opened ({error})"
        raise UserError(f"port {port}: {reason}; choose another with --port, 0 takes any free one") from None


class Handler(SimpleHTTPRequestHandler):
    """Answers GET and HEAD of files in the folder, and PUT of the corrections of a run."""

    server: ResultsServer
    server_version, sys_version = "CRISP", ""
    has_read = False

    def do_GET(self) -> None:
        """Send a file, or the list of a folder."""
        self._answer(self._get)

    def do_HEAD(self) -> None:
        """Send the headers of a file."""
        self._answer(super().do_HEAD)

    def do_PUT(self) -> None:
        """Save the corrections of a run."""
        self._answer(self._put)

    def _answer(self, act: Any) -> None:
        try:
            self._check_origin()
            self._file()
            act()
        except Refused as refused:
            log.warning("refused: %s: %s", self.command, refused)
            self._read_rest()
            self._send(refused.status, f"{refused}\n".encode())

    def _check_origin(self) -> None:
        own = {f"{name}:{self.server.server_port}" for name in (LOOPBACK, "localhost")}
        host, origin = self.headers.get("Host", ""), self.headers.get("Origin")
        if host not in own:
            raise Refused(HTTPStatus.FORBIDDEN, "the request is for another host name")
        if origin is not None and origin != f"http://{host}":
            raise Refused(HTTPStatus.FORBIDDEN, "the request is from a page of another origin")

    def _file(self) -> Path:
        """Path of the requested file in the folder; it may not exist."""
        parts = unquote(urlsplit(self.path).path).split("/")
        if not secrets.compare_digest(parts[1].encode() if len(parts) > 2 else b"", self.server.token.encode()):
            raise Refused(HTTPStatus.FORBIDDEN, "the address lacks the token that the server printed")
        try:
            found = self.server.folder.joinpath(*(part for part in parts[2:] if part)).resolve()
            # a name that is too long is an error here
            found.exists()
        except (ValueError, OSError):
            raise Refused(HTTPStatus.NOT_FOUND, "no such file") from None
        if ".." in parts or not found.is_relative_to(self.server.folder):
            raise Refused(HTTPStatus.FORBIDDEN, "the file is outside of the folder of the results")
        return found

    def translate_path(self, path: str) -> str:
        """Path of the requested file, for the methods that are inherited."""
        return str(self._file())

    def send_head(self) -> Any:
        """Open a file; a folder is always listed, since its index.html may be a link that leads out of the results."""
        path = self._file()
        is_listed = path.is_dir() and urlsplit(self.path).path.endswith("/")
        return self.list_directory(str(path)) if is_listed else super().send_head()

    def _get(self) -> None:
        path = self._file()
        if path.name != CORRECTIONS or not (path.parent / PAGE).is_file():
            return super().do_GET()
        # the browser keeps unsaved work by folder, since two folders may have a run of the same name
        saves = {"CRISP-Saves": "yes", "CRISP-Folder": _tag(str(self.server.folder).encode()).strip('"')}
        if not path.is_file():
            return self._send(HTTPStatus.NO_CONTENT, b"", saves)
        content = path.read_bytes()
        self._send(HTTPStatus.OK, content, saves | {"Content-Type": "application/json", "ETag": _tag(content)})

    def _put(self) -> None:
        path = self._file()
        if path.name != CORRECTIONS or not (path.parent / PAGE).is_file():
            raise Refused(HTTPStatus.FORBIDDEN, f"only {CORRECTIONS} in the folder of a run's page can be saved")
        content = self._body()
        with self.server.saving:
            self._check_version(path)
            try:
                n_micrographs = _write_checked(path, content)
            except OSError as error:
                reason = f"{CORRECTIONS} cannot be written ({error.strerror})"
                raise Refused(HTTPStatus.INTERNAL_SERVER_ERROR, reason) from None
        log.info("saved %s: %d micrographs", path.relative_to(self.server.folder), n_micrographs)
        self._send(HTTPStatus.OK, b"saved\n", {"ETag": _tag(content)})

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length", "")
        if self.headers.get_content_type() != "application/json" or not length.isdecimal():
            raise Refused(HTTPStatus.BAD_REQUEST, "the content must be JSON of a stated length")
        if int(length) > LARGEST_BYTES:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {LARGEST_BYTES} bytes")
        self.has_read, content = True, self.rfile.read(int(length))
        if len(content) < int(length):
            raise Refused(HTTPStatus.BAD_REQUEST, "the content was cut off")
        return content

    def _read_rest(self) -> None:
        """Read the content of a refused request, since a client may read the answer only after it has sent all."""
        length = self.headers.get("Content-Length", "0")
        if self.command == "PUT" and not self.has_read and length.isdecimal() and int(length) <= LARGEST_BYTES:
            self.rfile.read(int(length))

    def _check_version(self, path: Path) -> None:
        """Refuse to overwrite a file that the page has not read."""
        known = self.headers.get("If-Match")
        current = _tag(path.read_bytes()) if path.is_file() else None
        if known is None and self.headers.get("If-None-Match") != "*":
            raise Refused(HTTPStatus.PRECONDITION_REQUIRED, "the request does not say which version it replaces")
        if known != current:
            raise Refused(HTTPStatus.PRECONDITION_FAILED, "the file was changed meanwhile")

    def _send(self, status: HTTPStatus, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in ({"Content-Type": "text/plain; charset=utf-8"} | (headers or {})).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def end_headers(self) -> None:
        """Add the headers of every answer."""
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Log no request: saves and refusals are logged where they happen."""


def _tag(content: bytes) -> str:
    return f'"{hashlib.sha256(content).hexdigest()[:32]}"'


def _write_checked(path: Path, content: bytes) -> int:
    """Write the file atomically if it is right; return the number of its micrographs."""
    unfinished = path.with_name(f".{CORRECTIONS}.new")
    # a link may lead out of the results
    unfinished.unlink(missing_ok=True)
    unfinished.write_bytes(content)
    try:
        corrections = read_corrections(unfinished)
    except UserError as error:
        unfinished.unlink()
        raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, str(error).replace(str(unfinished), CORRECTIONS)) from None
    if (corrections.dataset, corrections.experiment) != (path.parents[1].name, path.parent.name):
        unfinished.unlink()
        raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, f"{CORRECTIONS}: is of another run")
    unfinished.replace(path)
    return len(corrections.micrographs)
