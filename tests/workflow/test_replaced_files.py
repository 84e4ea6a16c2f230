"""The user's files that older ones replace: Snakemake compares times alone, so parameters tell of them."""

import os
import re

import numpy as np
import pytest

from crisp_core.formats.mrc import write_mrc

from .conftest import TINY, copy_workflow, run_snakemake, write_config

TARGETS = ["results/tiny/density.mrc", "results/mine/coordinates/0.star"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = copy_workflow(tmp_path_factory.mktemp("replaced"))
    rng = np.random.default_rng(1)
    write_mrc(folder / "a.mrc", rng.normal(size=(200, 200)), pixel_size=7.08, dtype=np.float32)
    ball = np.linalg.norm(np.mgrid[-12:12, -12:12, -12:12], axis=0) < 8
    write_mrc(folder / "map.mrc", ball, pixel_size=8.0, dtype=np.float32)
    (folder / "a.star").write_text("data_\n\nloop_\n_rlnCoordinateX\n_rlnCoordinateY\n80 90\n")
    mine = {
        "micrographs": "a.mrc",
        "coordinates": {"files": "a.star", "origin": "top-left"},
        "pixel_size": 7.08,
        "particle_diameter_angstrom": 130,
    }
    simulated = TINY["datasets"]["tiny"]
    simulated = simulated | {"simulation": simulated["simulation"] | {"volume": "map.mrc"}}
    experiments = TINY["experiments"] | {"shipped": {"network": "general"}}
    both = {"datasets": {"tiny": simulated, "mine": mine}, "experiments": experiments}
    write_config(folder / "two.yaml", TINY | both | {"run": ["tiny/small", "mine/shipped"]})
    run_snakemake(*TARGETS, "--cores", "2", "--configfile", "two.yaml", cwd=folder)
    return folder


@pytest.mark.parametrize(
    ("replaced", "rules"),
    [(None, set()), ("map.mrc", {"density"}), ("a.star", {"import_coordinates"}), ("a.mrc", {"prepare"})],
)
def test_a_file_that_an_older_one_replaces_is_read_again(folder, replaced, rules):
    path = folder / (replaced or "a.mrc")
    before = path.stat()
    if replaced:
        os.utime(path, (1e9, 1e9))
    output = run_snakemake(*TARGETS, "-n", "--configfile", "two.yaml", cwd=folder).stdout
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    planned = set(re.findall(r"^(\w+) +\d+$", output, re.M)) - {"total"}
    assert rules <= planned and ("density" in planned) == (replaced == "map.mrc")
    assert replaced or "Nothing to be done" in output
