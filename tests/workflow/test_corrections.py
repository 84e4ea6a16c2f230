"""Which jobs a correction reruns: labels are made, and all other results exist in name only."""

import json
import os
import re
import shutil
import time

import numpy as np
import pytest

from crisp_core.formats.mrc import write_mrc
from tests.datasets.test_corrections import entry, file

from .conftest import ROOT, TINY, run_snakemake, write_config
from .test_scale import counted

pytestmark = pytest.mark.slow


def config():
    """Two micrographs in each of two batches; the general network picks, and another one starts from it."""
    mine = {"micrographs": "raw/*.mrc", "pixel_size": 7.08, "particle_diameter_angstrom": 180}
    training = TINY["experiments"]["small"]["training"]
    return {
        "micrographs_per_job": 2,
        "run": ["mine/general", "mine/corrected"],
        "datasets": {"mine": mine | {"corrections": "results/mine/*/corrections.json"}},
        "experiments": {"general": {"network": "general"}, "corrected": {"training": training | {"start": "general"}}},
    }


def save_corrections(path, names):
    path.parent.mkdir(parents=True, exist_ok=True)
    facts = {"pixel_size_angstrom": 7.08, "shape_px": [64, 64]}
    path.write_text(json.dumps(file("A", *[entry(name, kept=[[20, 20]], **facts) for name in names]).plain()))


def pretend_results(folder, planned):
    """Make every output of a plan an empty file or folder, all of one time."""
    now = time.time()
    for path in re.findall(r"results/[^\s,]+", " ".join(re.findall(r"^    output: (.*)$", planned, re.M))):
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.suffix:
            place.touch()
        else:
            place.mkdir(exist_ok=True)
        os.utime(place, (now, now))


def test_two_more_corrected_micrographs_rerun_their_labels_and_what_the_network_makes(tmp_path):
    (tmp_path / "raw").mkdir()
    image = np.random.default_rng(1).normal(size=(64, 64)).astype(np.float32)
    write_mrc(tmp_path / "raw/m0.mrc", image, pixel_size=7.08, dtype="float32")
    for i in range(1, 4):
        shutil.copy(tmp_path / "raw/m0.mrc", tmp_path / f"raw/m{i}.mrc")
    write_config(tmp_path / "mine.yaml", config())
    save_corrections(tmp_path / "results/mine/general/corrections.json", ["m0", "m1"])
    arguments = ["-s", str(ROOT / "Snakefile"), "--cores", "1", "--configfile", "mine.yaml"]
    run_snakemake(*arguments, "--", "labels", cwd=tmp_path)
    pretend_results(tmp_path, run_snakemake(*arguments, "-n", cwd=tmp_path).stdout)
    # on the page of the second round
    save_corrections(tmp_path / "results/mine/corrected/corrections.json", ["m2", "m3"])
    jobs = counted(run_snakemake(*arguments, "-n", "--quiet", "rules", cwd=tmp_path).stdout)
    # labels of one batch; maps and picks of the new network on both, and nothing of the general network
    wanted = {"label_corrected": 1, "train": 1, "search_centers": 1, "predict": 2, "pick": 2, "measure_micrographs": 2}
    assert {rule: jobs.get(rule, 0) for rule in wanted} == wanted
    assert not jobs.keys() & {"prepare", "list_micrographs", "link_micrographs", "set_centers"}
