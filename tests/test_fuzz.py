"""Damaged files of every kind that is read: one UserError line that names the file, soon, and in little memory."""

import copy
import gzip
import os
import re
import resource
import signal
from contextlib import contextmanager
from pathlib import Path

import mrcfile
import numpy as np
import pandas as pd
import pytest
import tifffile
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from crisp_core.errors import UserError
from crisp_core.formats.coordinates.registry import COORDINATE_FORMATS, read_coordinates, write_coordinates
from crisp_core.formats.cs_files import LOCATION_FIELDS, write_cs
from crisp_core.formats.images import read_micrograph
from crisp_core.formats.poses import CRYOSPARC_FIELDS, POSE_COLUMNS, read_poses
from crisp_core.formats.relion_coordinates import read_coordinates_star
from crisp_core.formats.relion_ctf import read_micrographs_ctf
from crisp_core.formats.star import write_blocks
from crisp_core.formats.volumes import read_volume
from crisp_core.settings.checks import check_settings
from tests.pose_files import write_poses

ROOT = Path(__file__).parents[1]
EXAMPLES = 80
# far more than these files of a few kB need, far less than what their headers can be made to promise
MEMORY_BYTES, SECONDS = 2**29, 10
# bytes that mean something to one format or another
WORDS = [b"nan", b"inf", b"-1", b"1e999", b"9" * 25, b" ", b"\t", b"\n", b"\r", b"\0", b"\xff\xfe", b"\x80", b'"', b"'"]
WORDS += [b",", b"#", b";", b"_", b"data_", b"loop_", b"data_particles", b"null", b"[", b"{", b"O", b"many", b"../.."]

COORDINATES = pd.DataFrame(
    {"micrograph": ["m"] * 3, "x": [10.5, 20.25, 30], "y": [1.5, 2.5, 3.5], "score": [0.5, 0.25, 1]}
)


@contextmanager
def limited(seconds=SECONDS, n_bytes=MEMORY_BYTES):
    """Let what runs within fail that takes longer, or more memory, than that."""

    def stop(*_):
        raise TimeoutError(f"took more than {seconds} s")

    before = signal.signal(signal.SIGALRM, stop), resource.getrlimit(resource.RLIMIT_AS)
    in_use = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (in_use + n_bytes, before[1][1]))
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before[0])
        resource.setrlimit(resource.RLIMIT_AS, before[1])


def refusal(read, path):
    """The line that refuses a file; None where it is read. Any other exception goes on."""
    try:
        with limited():
            read(path)
    except UserError as error:
        line = str(error)
        assert path.name in line and len(line.splitlines()) == 1 and len(line) < 600
        return line
    return None


@st.composite
def damaged(draw, content):
    """Cut, overwrite, remove, repeat or insert something, up to three times."""
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, max(0, len(content) - 1)))
        length = draw(st.integers(0, 16))
        match draw(st.sampled_from("cut overwrite remove repeat insert number".split())):
            case "cut":
                content = content[:place]
            case "overwrite":
                word = draw(st.binary(min_size=1, max_size=4))
                content = content[:place] + word + content[place + len(word) :]
            case "remove":
                content = content[:place] + content[place + length :]
            case "repeat":
                content = content[:place] + content[place : place + length] * 2 + content[place + length :]
            case "insert":
                content = content[:place] + draw(st.sampled_from(WORDS)) + content[place:]
            case "number":
                # a word of a binary header, at the beginning where most of them are
                place = 4 * draw(st.integers(0, 60))
                value = draw(st.sampled_from([-1, 0, 1, 2, 255, 31623, 2**24, 2**30, 2**31 - 1, -(2**31)]))
                content = content[:place] + value.to_bytes(4, "little", signed=True) + content[place + 4 :]
    return content


def mrc(path):
    with mrcfile.new(path) as file:
        file.set_data(np.arange(48, dtype=np.float32).reshape(6, 8))
        file.voxel_size = 1.5


def volume(path):
    with mrcfile.new(path, compression="gzip" if path.suffix == ".gz" else None) as file:
        file.set_data(np.arange(64, dtype=np.float32).reshape(4, 4, 4))
        file.voxel_size = 1.5


def picture(path):
    Image.fromarray(np.arange(48, dtype=np.uint8).reshape(6, 8)).save(path)


def cs(path):
    fields = {
        "location/micrograph_path": ("S9", b"a/m_1.mrc"),
        "location/micrograph_shape": (("<u4", 2), (400, 500)),
        "location/center_x_frac": ("<f4", 0.25),
        "location/center_y_frac": ("<f4", 0.5),
        "alignments3D/pose": (("<f4", 3), (0.1, 0.2, 0.3)),
        "alignments3D/shift": (("<f4", 2), (1, 2)),
        "alignments3D/psize_A": ("<f4", 1.5),
    }
    assert set(fields) == {*LOCATION_FIELDS, *CRYOSPARC_FIELDS}
    types = [(name, *(kind if isinstance(kind, tuple) else (kind,))) for name, (kind, _) in fields.items()]
    rows = np.zeros(3, types)
    for name, (_, value) in fields.items():
        rows[name] = value
    write_cs(path, rows)


def poses(path):
    write_poses(path, pd.DataFrame({name: ["m", "m"] if name == "micrograph" else [1.5, 2] for name in POSE_COLUMNS}))


def ctf(path):
    table = {"rlnMicrographName": ["a/m.mrc", "a/n.mrc"], "rlnDefocusU": [1e4, 2e4], "rlnDefocusV": [1e4, 2e4]}
    write_blocks(path, {"micrographs": pd.DataFrame(table | {"rlnDefocusAngle": [0.5, 1]})})


def coordinates(format):
    return lambda path: write_coordinates(path, COORDINATES, format=format, size_px=20)


def micrograph(path):
    return read_micrograph(path, pixel_size=1.5)


# name of the file: who writes a good one, who reads it, how many of the damaged ones are at least refused
KINDS = {
    "m.mrc": (mrc, micrograph, 25),
    "m.tif": (lambda path: tifffile.imwrite(path, np.arange(48, dtype=np.int16).reshape(6, 8)), micrograph, 15),
    "m.png": (picture, micrograph, 15),
    "m.jpg": (picture, micrograph, 15),
    "v.map": (volume, read_volume, 25),
    "v.map.gz": (volume, read_volume, 25),
    "own.star": (coordinates("relion-particles"), read_coordinates_star, 15),
    **{
        f"{format.name}{format.suffixes[0]}": (coordinates(format.name), read_coordinates, 15)
        for format in COORDINATE_FORMATS
        if format.write is not None
    },
    "picks.cs": (cs, read_coordinates, 15),
    "poses.star": (poses, read_poses, 15),
    "poses.cs": (cs, read_poses, 15),
    "micrographs_ctf.star": (ctf, read_micrographs_ctf, 15),
}


@pytest.mark.parametrize("name", KINDS)
def test_a_damaged_file_is_read_or_refused_in_one_line(tmp_path, name):
    write, read, n_least = KINDS[name]
    path = tmp_path / name
    write(path)
    assert refusal(read, path) is None
    content, refused = path.read_bytes(), set()

    @settings(max_examples=EXAMPLES, database=None, suppress_health_check=list(HealthCheck))
    @given(damaged(content))
    def check(changed):
        path.write_bytes(changed)
        if refusal(read, path):
            refused.add(changed)

    check()
    assert len(refused) >= n_least


HUGE = {
    # nx and ny are words 1 and 2 of the header, nz word 3
    "mrc": ("m.mrc", mrc, micrograph, lambda content: (31623).to_bytes(4, "little") * 2 + content[8:]),
    "map": ("v.map", volume, read_volume, lambda content: (2**31 - 1).to_bytes(4, "little") * 3 + content[12:]),
    "map.gz": ("v.map.gz", volume, read_volume, lambda content: gzip.compress(gzip_header(content, 2**31 - 1))),
    "promise": ("v.map.gz", volume, read_volume, lambda content: gzip.compress(gzip_header(content, 1000))),
    "cs": ("picks.cs", cs, read_coordinates, lambda content: content.replace(b"(3,), }      ", b"(900000000,)}")),
}


def gzip_header(content, side):
    plain = gzip.decompress(content)
    return side.to_bytes(4, "little") * 3 + plain[12:]


@pytest.mark.parametrize("kind", HUGE)
def test_what_a_header_promises_takes_no_memory(tmp_path, kind):
    name, write, read, inflate = HUGE[kind]
    path = tmp_path / name
    write(path)
    content = path.read_bytes()
    path.write_bytes(inflate(content))
    assert path.read_bytes() != content
    assert re.search("truncated|declares|is not a cryoSPARC", refusal(read, path))


def test_a_billion_pixels_are_refused_even_where_the_file_is_long_enough(tmp_path):
    path = tmp_path / "m.mrc"
    mrc(path)
    path.write_bytes((31623).to_bytes(4, "little") * 2 + path.read_bytes()[8:])
    os.truncate(path, 1024 + 4 * 31623**2)
    assert "declares 1000014129 grey values, more than" in refusal(micrograph, path)


def leaves(value, place=()):
    """Places of a config: keys from the top."""
    yield place
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield from leaves(value[key], (*place, key))


SIMPLE = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["..", "1e-3"])
VALUES = st.recursive(SIMPLE, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SIMPLE, inner, max_size=3))


@pytest.mark.parametrize("name", ["config.yaml", "examples/your-own-data.yaml"])
def test_a_wrong_config_is_accepted_or_refused_in_one_line(name):
    base, refused = yaml.safe_load((ROOT / name).read_text()), set()
    places = [place for place in leaves(base) if place]

    @settings(max_examples=3 * EXAMPLES, database=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(places), VALUES)
    def check(place, value):
        changed = copy.deepcopy(base)
        section = changed
        for key in place[:-1]:
            section = section[key]
        section[place[-1]] = value
        try:
            with limited():
                check_settings(changed)
        except UserError as error:
            assert len(str(error).splitlines()) == 1 and re.match("config, |particles/|simulation/", str(error))
            refused.add((place, repr(value)))

    check()
    assert len(refused) >= 50
