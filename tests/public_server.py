"""A server on this machine that is laid out like those of CryoPPP and EMPIAR, resumes transfers, and breaks them."""

import hashlib
import http.server
import io
import json
import tarfile
import threading
from contextlib import contextmanager


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves `server.files`; `server.breaks` has the numbers of bytes after which the next transfers of a file end."""

    def do_HEAD(self):
        self.answer(with_body=False)

    def do_GET(self):
        self.answer(with_body=True)

    def answer(self, *, with_body):
        server, asked = self.server, self.headers.get("Range", "")
        server.requested.append((self.command, self.path, asked))
        body = server.files.get(self.path)
        if body is None:
            self.send_error(404)
            return
        tag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and self.headers.get("If-Range") == tag else 0
        if start >= len(body):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        for key, value in {"ETag": tag, "Content-Length": str(len(body) - start), **server.headers}.items():
            self.send_header(key, value)
        self.end_headers()
        if with_body:
            self.send(body[start:], server.breaks.get(self.path, []))

    def send(self, body, breaks):
        n = breaks.pop(0) if breaks else len(body)
        self.wfile.write(body[:n])
        self.wfile.flush()
        if n < len(body) and self.server.silent:
            self.server.released.wait(10)

    def log_message(self, *_):
        pass


@contextmanager
def serving():
    """Server in a thread; `url` is its address."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.files, server.breaks, server.headers, server.requested = {}, {}, {}, []
    server.silent, server.released = False, threading.Event()
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        server.server_close()
        thread.join()


def addresses(server, folder):
    """Section downloads of a config for this server."""
    return {
        "folder": str(folder),
        "cryoppp_url": f"{server.url}/cryoppp_lite",
        "empiar_url": f"{server.url}/world_availability",
        "empiar_api_url": f"{server.url}/empiar/api/entry",
    }


STAR = """
data_optics

loop_
_rlnVoltage #1
_rlnImagePixelSize #2
_rlnSphericalAberration #3
_rlnAmplitudeContrast #4
_rlnOpticsGroup #5
_rlnImageSize #6
_rlnImageDimensionality #7
300.000000 1.770000 2.700000 0.100000 1 200 2

data_particles

loop_
_rlnImageName #1
_rlnMicrographName #2
_rlnCoordinateX #3
_rlnCoordinateY #4
000001@J1/x.mrc J1/x.mrc 10 20
"""


def cryoppp_files(empiar, micrographs, tables, *, star=STAR):
    """Files of a dataset of CryoPPP, by their path in the archive: bytes of micrographs by name, tables by stem."""
    files = {f"micrographs/{name}": data for name, data in micrographs.items()}
    files |= {f"ground_truth/particle_coordinates/{stem}.csv": text.encode() for stem, text in tables.items()}
    files[f"ground_truth/empiar-{empiar}_particles_selected.csv"] = b"X-Coordinate\n"
    files[f"ground_truth/false_positives/{next(iter(tables))}_false_positives.csv"] = (
        b"X-Coordinate,Y-Coordinate\n1,2\n"
    )
    if star is not None:
        files[f"ground_truth/empiar-{empiar}_particles_selected.star"] = star.encode()
    return {f"{empiar}/{path}": data for path, data in files.items()}


def packed(files):
    """Archive .tar.gz of files by path, micrographs first, as tar finds them in any order."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz", compresslevel=1) as archive:
        for path, data in sorted(files.items(), reverse=True):
            entry = tarfile.TarInfo(path)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return content.getvalue()


def serve_empiar(server, empiar, files, *, directory="data", pixel_size="1.77", category="micrographs - single frame"):
    """Let the server describe an entry of EMPIAR, list its directory as Apache does, and have its files."""
    base = f"/world_availability/{empiar}/{directory}/"
    links = "".join(f'<tr><td><a href="{name}">{name}</a></td><td>64M</td></tr>' for name in files)
    page = f'<html><h1>Index of {base}</h1><a href="?C=N;O=D">Name</a><a href="/empiar/">Parent</a>{links}</html>'
    server.files[base] = page.encode()
    server.files |= {base + name: data for name, data in files.items()}
    micrographs = {"name": "Micrographs", "directory": f"/{directory}", "category": category}
    movies = {"name": "Movies", "directory": "/data/movies", "category": "micrographs - multiframe"}
    for one in (micrographs, movies):
        one |= {"pixel_width": pixel_size, "pixel_height": pixel_size, "num_images_or_tilt_series": len(files)}
    entry = {f"EMPIAR-{empiar}": {"title": "A protein", "imagesets": [micrographs, movies]}}
    server.files[f"/empiar/api/entry/EMPIAR-{empiar}/"] = json.dumps(entry).encode()
