import base64
import hashlib
import logging
import shutil
import socket

import pytest

from crisp_core.errors import UserError
from crisp_core.formats import large_downloads
from crisp_core.formats.large_downloads import announce, fetch_large, fetch_text, remote_bytes
from tests.public_server import serving

CONTENT = bytes(range(256)) * 8000
PATH = "/data/a.mrc"
# several in each transfer
PIECE = 2**14


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(large_downloads, "CHUNK_BYTES", PIECE)
    with serving() as server:
        server.files[PATH] = CONTENT
        yield server


def ranges(server):
    return [asked for _, _, asked in server.requested]


def test_a_file_arrives_once(server, tmp_path):
    assert remote_bytes(server.url + PATH) == len(CONTENT)
    path = fetch_large(server.url + PATH, tmp_path / "new/a.mrc")
    assert path.read_bytes() == CONTENT and [p.name for p in path.parent.iterdir()] == ["a.mrc"]
    fetch_large(server.url + PATH, path)
    assert len(server.requested) == 2


def test_a_transfer_that_breaks_off_resumes_where_it_ended(server, tmp_path, caplog):
    server.breaks[PATH] = [20 * PIECE, 10 * PIECE]
    path = fetch_large(server.url + PATH, tmp_path / "a.mrc")
    assert path.read_bytes() == CONTENT
    assert ranges(server) == ["", f"bytes={20 * PIECE}-", f"bytes={30 * PIECE}-"]
    assert caplog.messages[0] == f"{server.url}{PATH}: the transfer broke off after 0.3 MB; it resumes"


def test_a_later_call_resumes_what_an_earlier_one_left(server, tmp_path):
    server.breaks[PATH] = [6 * PIECE] * large_downloads.ATTEMPTS
    message = r"the transfer broke off; try again, .* \(0\.4 MB are kept; the next call resumes\)$"
    with pytest.raises(UserError, match=message):
        fetch_large(server.url + PATH, tmp_path / "a.mrc")
    assert not (tmp_path / "a.mrc").exists()
    assert fetch_large(server.url + PATH, tmp_path / "a.mrc").read_bytes() == CONTENT
    assert ranges(server)[-1] == f"bytes={24 * PIECE}-"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mrc"]


def test_a_file_that_changed_on_the_server_begins_anew(server, tmp_path):
    server.breaks[PATH] = [100_000] * large_downloads.ATTEMPTS
    with pytest.raises(UserError, match="broke off"):
        fetch_large(server.url + PATH, tmp_path / "a.mrc")
    server.files[PATH] = CONTENT[::-1]
    assert fetch_large(server.url + PATH, tmp_path / "a.mrc").read_bytes() == CONTENT[::-1]


def test_a_server_that_stops_sending_is_asked_again(server, tmp_path, monkeypatch):
    monkeypatch.setattr(large_downloads, "TIMEOUT_S", 0.2)
    server.silent, server.breaks[PATH] = True, [300_000]
    assert fetch_large(server.url + PATH, tmp_path / "a.mrc").read_bytes() == CONTENT
    assert len(server.requested) == 2 and ranges(server)[1].startswith("bytes=")


def test_a_file_that_the_server_lacks_is_asked_for_once(server, tmp_path):
    for ask in (lambda url: fetch_large(url, tmp_path / "b.mrc"), remote_bytes, fetch_text):
        with pytest.raises(
            UserError, match=r"^http://.*/data/b\.mrc: the server has no such file \(404\); check the id"
        ):
            ask(f"{server.url}/data/b.mrc")
    assert len(server.requested) == 3 and not list(tmp_path.iterdir())


def test_without_a_network_there_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/a.mrc"
    with pytest.raises(UserError, match=r"/a\.mrc: cannot be reached; connect this machine to the network") as error:
        fetch_large(url, tmp_path / "a.mrc")
    assert "\n" not in str(error.value)


def test_an_md5_that_the_server_states_is_checked(server, tmp_path):
    server.headers["Content-MD5"] = base64.b64encode(hashlib.md5(CONTENT).digest()).decode()
    assert fetch_large(server.url + PATH, tmp_path / "a.mrc").read_bytes() == CONTENT
    server.headers["Content-MD5"] = base64.b64encode(hashlib.md5(b"other").digest()).decode()
    with pytest.raises(
        UserError, match=r"is damaged \(its MD5 is not the one that the server states\); try again later"
    ):
        fetch_large(server.url + PATH, tmp_path / "b.mrc")
    assert [path.name for path in tmp_path.iterdir()] == ["a.mrc"]


def test_a_page_in_place_of_the_file_is_refused(server, tmp_path):
    server.files[PATH] = b'<?xml version="1.0"?><Error><Code>ConnectionClosedException</Code></Error>'
    with pytest.raises(UserError, match=r"is damaged \(the server sent a page in its place\)"):
        fetch_large(server.url + PATH, tmp_path / "a.mrc")
    assert not (tmp_path / "a.mrc").exists() and not (tmp_path / "a.mrc.part").exists()


def test_the_size_is_told_before_and_compared_with_the_disk(tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="crisp")
    announce({"http://a/1": 3_000_000, "http://a/2": 0}, tmp_path, "EMPIAR-10017")
    assert caplog.messages[0].startswith("EMPIAR-10017: 2 files, 0.00 GB and 1 of unknown size, into")
    with pytest.raises(UserError, match=r"EMPIAR-10017 needs .* GB and the disk has .* GB; set downloads/folder"):
        announce({"http://a/1": shutil.disk_usage(tmp_path).total + 1}, tmp_path, "EMPIAR-10017")
