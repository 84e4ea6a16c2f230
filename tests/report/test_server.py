"""The local server of the results, with real sockets: what it serves, what it saves and what it refuses."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from contextlib import closing

import pytest

from crisp_core.errors import UserError
from crisp_core.formats.corrections import read_corrections
from crisp_core.report.server import start_server
from tests.conftest import ROOT

CORRECTIONS = {
    **{"format": "CRISP corrections", "version": 1, "dataset": "d", "experiment": "e", "author": "A. Person"},
    **{"saved": "2026-11-28T20:15:00Z", "micrographs": []},
}
JSON = {"Content-Type": "application/json"}
NEW = JSON | {"If-None-Match": "*"}


@pytest.fixture
def folder(tmp_path):
    """Results with one run, beside a file that is nobody's business."""
    run = tmp_path / "results/d/e"
    run.mkdir(parents=True)
    (run / "report.html").write_text("<p>page</p>")
    (run / "picks.star").write_text("data_\n")
    (tmp_path / "secret.txt").write_text("secret")
    for link in ("outside", "index.html"):
        (run / link).symlink_to(tmp_path / "secret.txt")
    return tmp_path / "results"


@pytest.fixture
def server(folder):
    """The server, on a free port."""
    with start_server(folder, 0) as running:
        threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True).start()
        yield running
        running.shutdown()


def ask(server, path, method="GET", body=None, token=None, **headers):
    """Status, headers and content of an answer; `path` is sent as it is, after the token."""
    with closing(http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)) as connection:
        connection.putrequest(method, f"/{token or server.token}{path}", skip_host="Host" in headers)
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        sent = {"Content-Length": str(len(content))} if content is not None else {}
        for name, value in (sent | headers).items():
            connection.putheader(name, value)
        connection.endheaders(content)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()


def test_it_serves_the_folder_and_lists_it(server):
    status, headers, content = ask(server, "/d/e/report.html")
    assert (status, content) == (200, b"<p>page</p>") and headers["Content-Type"] == "text/html"
    assert headers["Referrer-Policy"] == "no-referrer" and headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert b"picks.star" in ask(server, "/d/e/")[2] and ask(server, "/d/e")[0] == 301
    assert ask(server, "/d/e/report.html", "HEAD")[::2] == (200, b"")
    assert ask(server, "/none.html")[0] == 404 and ask(server, f"/{'a' * 5000}")[0] == 404


def test_the_address_is_on_this_machine_alone_and_has_a_new_token(server, folder):
    assert server.server_address[0] == "127.0.0.1"
    assert server.address == f"http://127.0.0.1:{server.server_port}/{server.token}/"
    (folder / "report.html").write_text("index")
    assert server.address.endswith(f"{server.token}/report.html")
    with start_server(folder, 0) as other:
        assert other.token != server.token and len(other.token) >= 32


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/d/..%2f..%2fsecret.txt",
        "/d/e/../../../secret.txt",
        "/d/e/outside",
        "/d/e/index.html",
        "//etc/passwd",
        "/%2fetc/passwd",
        "/d/e/%00",
    ],
)
def test_nothing_outside_of_the_folder_is_served(server, path):
    status, _, content = ask(server, path)
    assert status in (403, 404) and b"secret" not in content and b"root:" not in content


@pytest.mark.parametrize("path", ["/d/e/report.html", "/d/e/corrections.json"])
@pytest.mark.parametrize("token", ["wrong", "d", "%00", "%C3%A9"])
def test_an_address_without_the_token_is_refused(server, token, path):
    status, _, content = ask(server, path, token=token)
    assert status == 403 and b"token" in content
    assert ask(server, path, "PUT", CORRECTIONS, token=token, **NEW)[0] == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://example.org"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Host": "example.org"},
        {"Host": "example.org:{port}"},
    ],
    ids=str,
)
def test_pages_of_other_origins_and_names_are_refused(server, folder, headers):
    given = {name: value.replace("{port}", str(server.server_port)) for name, value in headers.items()}
    assert ask(server, "/d/e/report.html", **given)[0] == 403
    assert ask(server, "/d/e/corrections.json", "PUT", CORRECTIONS, **NEW, **given)[0] == 403
    assert not (folder / "d/e/corrections.json").exists()


def test_corrections_are_saved_and_never_overwritten_unread(server, folder):
    path, origin = "/d/e/corrections.json", {"Origin": f"http://127.0.0.1:{server.server_port}"}
    status, headers, _ = ask(server, path)
    assert status == 204 and headers["CRISP-Saves"] == "yes" and len(headers["CRISP-Folder"]) == 32
    assert ask(server, path, "PUT", CORRECTIONS, **JSON)[0] == 428
    status, headers, _ = ask(server, path, "PUT", CORRECTIONS, **NEW, **origin)
    assert status == 200 and read_corrections(folder / "d/e/corrections.json").author == "A. Person"
    first = headers["ETag"]
    assert ask(server, path)[1]["ETag"] == first
    assert ask(server, path, "PUT", CORRECTIONS, **NEW)[0] == 412
    later = CORRECTIONS | {"author": "B. Person"}
    second = ask(server, path, "PUT", later, **JSON, **{"If-Match": first})[1]["ETag"]
    assert json.loads(ask(server, path)[2])["author"] == "B. Person" and second != first
    assert ask(server, path, "PUT", CORRECTIONS, **JSON, **{"If-Match": first})[0] == 412
    assert json.loads((folder / "d/e/corrections.json").read_text())["author"] == "B. Person"


@pytest.mark.parametrize(
    ("path", "body", "headers", "status"),
    [
        ("/d/e/report.html", CORRECTIONS, NEW, 403),
        ("/d/corrections.json", CORRECTIONS, NEW, 403),
        ("/../corrections.json", CORRECTIONS, NEW, 403),
        ("/d/e/corrections.json", CORRECTIONS, NEW | {"Content-Type": "text/plain"}, 400),
        ("/d/e/corrections.json", b"{", NEW, 422),
        ("/d/e/corrections.json", CORRECTIONS | {"version": 2}, NEW, 422),
        ("/d/e/corrections.json", CORRECTIONS | {"experiment": "other"}, NEW, 422),
    ],
)
def test_nothing_else_is_written(server, folder, path, body, headers, status):
    before = sorted(folder.rglob("*"))
    given, _, content = ask(server, path, "PUT", body, **headers)
    assert given == status and content.decode().endswith("\n") and content.count(b"\n") == 1
    assert sorted(folder.rglob("*")) == before and (folder / "d/e/report.html").read_text() == "<p>page</p>"


def test_a_file_that_cannot_be_written_is_told(server, folder):
    (folder / "d/e/.corrections.json.new").mkdir()
    status, _, content = ask(server, "/d/e/corrections.json", "PUT", CORRECTIONS, **NEW)
    assert status == 500 and content.startswith(b"corrections.json cannot be written (")
    assert not (folder / "d/e/corrections.json").exists()


def test_a_link_in_place_of_the_unfinished_file_is_not_followed(server, folder):
    (folder / "d/e/.corrections.json.new").symlink_to(folder.parent / "secret.txt")
    assert ask(server, "/d/e/corrections.json", "PUT", CORRECTIONS, **NEW)[0] == 200
    assert (folder.parent / "secret.txt").read_text() == "secret"
    assert not (folder / "d/e/corrections.json").is_symlink()


def test_a_content_that_is_too_long_is_not_read(server):
    # as the header says; nothing follows
    with closing(socket.create_connection(("127.0.0.1", server.server_port), timeout=10)) as connection:
        lines = [
            f"PUT /{server.token}/d/e/corrections.json HTTP/1.1",
            f"Host: 127.0.0.1:{server.server_port}",
            "Content-Type: application/json",
            "Content-Length: 99999999999",
        ]
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        assert b" 413 " in connection.recv(4096).splitlines()[0]


def test_other_methods_are_refused(server, folder):
    for method in ("POST", "DELETE", "OPTIONS"):
        assert ask(server, "/d/e/report.html", method)[0] == 501
    assert (folder / "d/e/report.html").exists()


def test_a_folder_that_does_not_exist_is_one_line(tmp_path):
    with pytest.raises(UserError, match=r"none: no such folder; give the folder of the results$"):
        start_server(tmp_path / "none", 0)


def test_the_command_prints_its_address_and_a_taken_port_is_one_line(folder):
    command = [sys.executable, "-m", "crisp_core.report", "serve", str(folder), "--no-browser", "--port"]
    options = {"cwd": ROOT, "text": True, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([*command, "0"], **options, preexec_fn=take_interrupts) as running:
        try:
            port, token = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/([\w-]+)/\n", running.stdout.readline()).groups()
            with closing(http.client.HTTPConnection("127.0.0.1", int(port), timeout=10)) as connection:
                connection.request("GET", f"/{token}/d/e/report.html")
                assert connection.getresponse().read() == b"<p>page</p>"
            second = subprocess.run([*command, port], **options)
            assert second.returncode == 1 and second.stdout == ""
            taken = (
                f"error: port {port}: is used by another program; choose another with --port, 0 takes any free one\n"
            )
            assert second.stderr == taken
            os.kill(running.pid, signal.SIGINT)
            assert running.wait(10) == 0 and running.stderr.read() == ""
        finally:
            running.kill()


def take_interrupts():
    """Let SIGINT end the program: a shell starts what runs in its background with SIGINT ignored, also for children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
