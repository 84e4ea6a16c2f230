"""The CCP-EM pipeliner, in an environment of its own, since it pins another version of gemmi: it runs our jobs.

The environment is made at test time from the package index, or `CRISP_CCPEM` names one that has ccpem-pipeliner.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import mrcfile
import numpy as np
import pandas as pd
import pytest

from crisp_core.formats.relion_autopick import read_coordinate_list
from crisp_core.formats.star import read_blocks, write_blocks
from tests.conftest import ROOT
from tests.external.project import CTF, DIAMETER, INTEGRATION, PIXEL_SIZE, variables, write_micrograph
from tests.quick_python import quick_python
from tests.workflow.conftest import copy_workflow

pytestmark = pytest.mark.slow

VERSION = "1.6.1"
NAMES = ["Micrographs/mic1.mrc", "Micrographs/mic2.mrc"]


def install(folder):
    """Make an environment with the pipeliner; skip where it cannot be downloaded."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    command = [folder / "bin/pip", "install", "--quiet", f"ccpem-pipeliner=={VERSION}"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"ccpem-pipeliner could not be installed: {done.stderr.strip().splitlines()[-1]}")


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """Variables of a shell in which the pipeliner finds CRISP's jobs and programs."""
    folder = Path(os.environ.get("CRISP_CCPEM") or tmp_path_factory.mktemp("ccpem") / "environment")
    if "CRISP_CCPEM" not in os.environ:
        install(folder)
    source, site = (tmp_path_factory.mktemp(name) for name in ("source", "site"))
    copy_workflow(source)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--no-compile", "--target", site]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, source], check=True)
    path = os.pathsep.join([str(folder / "bin"), str(INTEGRATION), os.environ["PATH"]])
    return variables(quick_python()) | {"PATH": path, "PYTHONPATH": str(site)}


@pytest.fixture(scope="module")
def project(environment, tmp_path_factory):
    """Function that calls the pipeliner's command line in a new project with two micrographs, and its folder."""
    folder = tmp_path_factory.mktemp("project")

    def pipeliner(program, *arguments):
        done = subprocess.run([program, *arguments], cwd=folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    (folder / "Micrographs").mkdir()
    truth = {name: write_micrograph(folder / name, seed) for seed, name in enumerate(NAMES, 1)}
    optics = {"rlnOpticsGroup": 1, "rlnOpticsGroupName": "g", "rlnMicrographPixelSize": PIXEL_SIZE}
    rows = pd.DataFrame([{"rlnMicrographName": name, "rlnOpticsGroup": 1} | CTF for name in NAMES])
    write_blocks(folder / "micrographs_ctf.star", {"optics": pd.DataFrame([optics]), "micrographs": rows})
    pipeliner("pipeliner", "--new_project")
    return pipeliner, folder, truth


def job_file(project, kind, **options):
    """Name of a file that describes a job with these options: its default one, changed."""
    pipeliner, folder, _ = project
    pipeliner("pipeliner", "--default_jobstar", kind)
    path = folder / f"{kind.replace('.', '_')}_job.star"
    head, loop, rows = path.read_text().partition("_rlnJobOptionValue #2")
    lines = dict(line.split(None, 1) for line in rows.splitlines() if line.strip())
    assert set(options) <= set(lines)
    lines |= {key: json.dumps(str(value)) for key, value in options.items()}
    path.write_text(head + loop + "\n" + "".join(f"{key} {value}\n" for key, value in lines.items()))
    return path.name


def run_job(project, kind, **options):
    """Run a job with these options, and return its folder when it has ended."""
    pipeliner, folder, _ = project
    path = job_file(project, kind, **options)
    before = set(folder.glob("AutoPick/job*"))
    pipeliner("pipeliner", "--run_job", path)
    (job,) = set(folder.glob("AutoPick/job*")) - before
    end = time.monotonic() + 900
    while not list(job.glob("PIPELINER_JOB_EXIT_*")):
        assert time.monotonic() < end
        time.sleep(0.5)
    assert (job / "PIPELINER_JOB_EXIT_SUCCESS").exists(), (job / "run.err").read_text() + (job / "run.out").read_text()
    return job.relative_to(folder).as_posix()


def displayed(project, job):
    """Objects that the pipeliner shows as the results of a job, by kind."""
    pipeliner, folder, _ = project
    pipeliner("pipeliner.regenerate_results", "--jobs", f"{job}/")
    found = [json.loads(path.read_text()) for path in sorted((folder / job).glob(".results_display*"))]
    return {each["dobj_type"]: each for each in found}


def test_both_jobs_are_available(project):
    pipeliner, *_ = project
    listed = pipeliner("pipeliner", "--check_jobs", "crisp")
    assert "crisp.autopick" in listed and "crisp.train" in listed and str(INTEGRATION / "crisp_pick") in listed
    assert "unavailable" not in listed


def test_picks_and_masks_are_nodes_and_the_picture_is_shown(project):
    _, folder, truth = project
    options = {"input_file": "micrographs_ctf.star", "diameter": DIAMETER, "nr_threads": 2}
    job = run_job(project, "crisp.autopick", **options, other_args="--report no")
    nodes = read_blocks(folder / "default_pipeline.star")["pipeline_nodes"]
    kinds = nodes.set_index("rlnPipeLineNodeName")["rlnPipeLineNodeTypeLabel"].to_dict()
    assert kinds["micrographs_ctf.star"] == "MicrographGroupMetadata.star.relion"
    assert kinds[f"{job}/autopick.star"] == "MicrographCoordsGroup.star.relion.crisp.autopick"
    assert kinds[f"{job}/masks.star"] == "Image2DGroupMetadata.star.crisp.mask"
    masks = read_blocks(folder / job / "masks.star")["masks"]
    assert list(masks["rlnMicrographName"]) == NAMES
    for mask, probability in zip(masks["rlnImageName"], masks["crispProbabilityMap"], strict=True):
        image = mrcfile.read(folder / mask)
        assert set(np.unique(image)) <= {-1, 0, 1, 2, 3} and mrcfile.read(folder / probability).shape == image.shape
    picks = [read_blocks(folder / file)[""] for file in read_coordinate_list(folder / job / "autopick.star")]
    shown = displayed(project, job)
    assert (folder / shown["image"]["image_path"]).is_file()
    assert shown["histogram"]["title"] == f"{sum(map(len, picks))} picks on 2 micrographs"
    assert all(len(table) >= 0.8 * len(xy) for table, xy in zip(picks, truth.values(), strict=True))


def test_training_takes_coordinates_and_makes_a_network(project):
    """The command alone: tests/external/test_relion.py trains with it."""
    pipeliner, *_ = project
    options = {"input_coords": "manualpick.star", "input_file": "micrographs_ctf.star", "diameter": DIAMETER}
    path = job_file(project, "crisp.train", **options, epochs=7)
    printed = pipeliner("pipeliner", "--print_command", path)
    (job,) = re.findall(r"crisp_train --o (AutoPick/job\d+) ", printed)
    command = f"{INTEGRATION}/crisp_train --o {job} --in_coords manualpick.star --in_mics micrographs_ctf.star"
    assert f"{command} --diameter {DIAMETER} --epochs 7 --j" in printed
    assert f"{job}/network.pt     MlModel.pt.crisp" in printed
