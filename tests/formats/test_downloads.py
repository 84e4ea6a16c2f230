"""Downloads from a real server on this machine."""

import gzip
import http.server
import logging
import re
import socket
import threading

import pytest

from crisp_core.errors import UserError
from crisp_core.formats import downloads
from crisp_core.formats.downloads import emdb_map_url, fetch, pdb_model_url

CONTENT = gzip.compress(bytes(range(256)) * 4000, compresslevel=0)
HAND = "or download the file by hand and give its path"


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves CONTENT; the path says what goes wrong."""

    def do_GET(self):
        self.server.requested.append(self.path)
        answer = self.server.answers.get(self.path)
        if answer is None:
            self.send_error(404)
            return
        status, headers, body = answer
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)
        if headers.get("X-Silent"):
            self.server.released.wait(10)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.requested, server.released = [], threading.Event()
    server.answers = {"/good/a.map.gz": (200, {"Content-Length": str(len(CONTENT))}, CONTENT)}
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.released.set()
    server.shutdown()
    server.server_close()
    thread.join()


def assert_refused(url, folder, message):
    """The download fails with this one line and leaves nothing behind."""
    with pytest.raises(UserError, match=f"^{re.escape(url)}: {message}") as error:
        fetch(url, folder=folder)
    assert "\n" not in str(error.value) and str(error.value).endswith(HAND)
    assert not list(folder.iterdir())


def test_a_file_is_fetched_once_and_arrives_as_it_was_sent(server, tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="crisp")
    url = f"{server.url}/good/a.map.gz"
    path = fetch(url, folder=tmp_path / "new/folder")
    assert path == tmp_path / "new/folder/a.map.gz"
    assert path.read_bytes() == CONTENT
    assert f"downloading {url}" in caplog.messages
    assert caplog.messages[-1] == f"downloaded {path}, 1.0 MB"
    assert fetch(url, folder=tmp_path / "new/folder") == path
    assert server.requested == ["/good/a.map.gz"]
    assert path.read_bytes() == CONTENT


def test_a_gz_file_stays_packed_where_the_server_calls_it_an_encoding(server, tmp_path):
    headers = {"Content-Length": str(len(CONTENT)), "Content-Encoding": "gzip"}
    server.answers["/b.map.gz"] = (200, headers, CONTENT)
    assert fetch(f"{server.url}/b.map.gz", folder=tmp_path).read_bytes() == CONTENT


def test_a_file_without_a_stated_length_arrives(server, tmp_path):
    server.answers["/c.cif"] = (200, {}, b"data_c")
    assert fetch(f"{server.url}/c.cif", folder=tmp_path).read_bytes() == b"data_c"


def test_a_redirection_is_followed(server, tmp_path):
    server.answers["/moved.map.gz"] = (302, {"Location": "/good/a.map.gz", "Content-Length": "0"}, b"")
    assert fetch(f"{server.url}/moved.map.gz", folder=tmp_path).read_bytes() == CONTENT


def test_a_damaged_file_in_the_folder_is_downloaded_again(server, tmp_path, caplog):
    for damaged in (CONTENT[:1000], b"no gzip", b"", CONTENT[:-8] + b"\0" * 8):
        (tmp_path / "a.map.gz").write_bytes(damaged)
        assert fetch(f"{server.url}/good/a.map.gz", folder=tmp_path).read_bytes() == CONTENT
        assert caplog.messages[-1].startswith(f"{tmp_path / 'a.map.gz'} is damaged (")
    assert len(server.requested) == 4


def test_an_unknown_entry(server, tmp_path):
    message = rf"the server has no such file \(404\); check the id, {HAND}"
    assert_refused(f"{server.url}/EMD-9999/map/emd_9999.map.gz", tmp_path, message)


def test_a_server_in_trouble(server, tmp_path):
    server.answers["/a.map.gz"] = (503, {"Content-Length": "0"}, b"")
    assert_refused(f"{server.url}/a.map.gz", tmp_path, "the server answers 503 Service Unavailable; try again later")


def test_a_transfer_that_breaks_off(server, tmp_path):
    server.answers["/a.map.gz"] = (200, {"Content-Length": str(2 * len(CONTENT))}, CONTENT)
    assert_refused(f"{server.url}/a.map.gz", tmp_path, f"the transfer broke off; try again, {HAND}")


@pytest.mark.parametrize("body", [CONTENT[:5000], b"<html>Log in</html>", b""])
def test_an_answer_that_is_not_the_file(server, tmp_path, body):
    server.answers["/a.map.gz"] = (200, {"Content-Length": str(len(body))}, body)
    assert_refused(f"{server.url}/a.map.gz", tmp_path, r"the download is damaged \(.*\); try again later")


def test_a_server_that_falls_silent(server, tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "TIMEOUT_S", 0.2)
    server.answers["/a.map.gz"] = (200, {"Content-Length": str(len(CONTENT)), "X-Silent": "1"}, CONTENT[:100])
    assert_refused(f"{server.url}/a.map.gz", tmp_path, r"no answer within 0\.2 s; try again later")


def test_offline(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/a.map.gz"
        assert_refused(url, tmp_path, "cannot be reached; connect this machine to the network")


def test_a_base_address_that_is_none(tmp_path):
    assert_refused("ftq://bank/a.map.gz", tmp_path, r"cannot be downloaded \(No connection adapters")


def test_a_folder_that_cannot_be_made(server, tmp_path):
    (tmp_path / "file").write_text("")
    message = r"file/folder: cannot keep a download \(.*\); set downloads/folder in the config"
    with pytest.raises(UserError, match=message):
        fetch(f"{server.url}/good/a.map.gz", folder=tmp_path / "file/folder")


def test_addresses_follow_the_banks_layouts():
    # as the banks' own pages link them
    assert emdb_map_url("EMD-2984", "https://files.wwpdb.org/pub/emdb/structures/") == (
        "https://files.wwpdb.org/pub/emdb/structures/EMD-2984/map/emd_2984.map.gz"
    )
    assert pdb_model_url("5a1a", "https://files.rcsb.org/download") == "https://files.rcsb.org/download/5A1A.cif.gz"
