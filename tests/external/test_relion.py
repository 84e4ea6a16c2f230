"""Jobs of RELION 3.1's own pipeliner: CRISP picks, RELION extracts; more micrographs, mistakes, abort, training."""

import subprocess
import sys

import mrcfile
import numpy as np
import pandas as pd
import psutil
import pytest
import yaml

from crisp_core.external.job_folder import ABORT_NOW, ABORTED, FAILURE, SUCCESS
from crisp_core.external.micrograph_list import read_micrograph_list
from crisp_core.external.pick import parser as pick_parser
from crisp_core.external.pick import run_config
from crisp_core.external.running import write_config
from crisp_core.external.train import RUN
from crisp_core.formats.relion_autopick import read_coordinate_list
from crisp_core.formats.star import read_blocks, write_blocks
from crisp_core.installation import snakefile
from tests.external.project import DIAMETER, INTEGRATION, PIXEL_SIZE, RelionProject, need_relion, variables
from tests.polling import wait_for
from tests.workflow.conftest import TINY, run_snakemake

BOX = 40
CTF_STAR = "Import/job002/micrographs_ctf.star"
NAMES = {"mic1": "Micrographs/mic1.mrc", "mic2": "MotionCorr/job090/raw/mic2.mrc"}
PICK = {"fn_exe": INTEGRATION / "crisp_pick", "in_mic": CTF_STAR, "nr_threads": 2}
# of RELION 3.1: status of a process in the pipeline
FINISHED, FAILED, STOPPED = 2, 3, 4


def params(**values):
    """Options of an External job for parameters with label and value."""
    return {
        f"param{i}_{part}": text
        for i, pair in enumerate(values.items(), 1)
        for part, text in zip(("label", "value"), pair, strict=True)
    }


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Project with an import of micrographs and of the star file of their CTF."""
    need_relion()
    made = RelionProject(tmp_path_factory.mktemp("relion") / "project")
    made.start(made.add_job("Import", do_raw="Yes", is_multiframe="No", fn_in_raw="Micrographs/*.mrc"))
    assert list(read_blocks(made.folder / "Import/job001/micrographs.star")["micrographs"]["rlnMicrographName"]) == [
        "Micrographs/mic1.mrc",
        "Micrographs/mic2.mrc",
    ]
    # as if motion correction had made one of them
    (made.folder / "MotionCorr/job090/raw").mkdir(parents=True)
    (made.folder / "Micrographs/mic2.mrc").rename(made.folder / NAMES["mic2"])
    ctf = made.write_ctf(NAMES.values())
    made.start(
        made.add_job("Import", do_raw="No", do_other="Yes", fn_in_other=ctf, node_type="Micrographs STAR file (.star)")
    )
    return made


@pytest.fixture(scope="module")
def picked(project):
    """Folder of a picking job that has ended."""
    job = project.add_job("External", **PICK, **params(diameter=DIAMETER, report="no"))
    project.start(job, python=sys.executable)
    assert project.status(job) == FINISHED, project.output(job)
    return project.folder / job


def picks_of(project, job):
    """Places (n, 2) of the picks by micrograph."""
    files = read_coordinate_list(job / "autopick.star")
    tables = {stem: read_blocks(project.folder / file)[""] for file, stem in files.items()}
    return {stem: table[["rlnCoordinateX", "rlnCoordinateY"]].to_numpy(float) for stem, table in tables.items()}


@pytest.mark.slow
def test_the_job_ends_as_relion_expects(project, picked):
    assert (picked / SUCCESS).exists() and (picked / "run.err").read_text() == ""
    assert " steps done" in (picked / "run.out").read_text()
    name = picked.relative_to(project.folder)
    edges = read_blocks(project.folder / "default_pipeline.star")["pipeline_output_edges"]
    assert f"{name}/coords_suffix_autopick.star" in list(edges["rlnPipeLineEdgeToNode"])
    assert (picked / "Micrographs/mic1_autopick.star").is_file() and (picked / "raw/mic2_autopick.star").is_file()
    for stem, xy in picks_of(project, picked).items():
        near = np.linalg.norm(project.truth[stem][:, None] - xy[None], axis=2).min(axis=1) < DIAMETER / PIXEL_SIZE / 3
        assert near.mean() > 0.8, stem


@pytest.mark.slow
def test_extract_reads_the_picks_and_cuts_these_pixels(project, picked):
    coords = picked.relative_to(project.folder) / "coords_suffix_autopick.star"
    options = {"star_mics": CTF_STAR, "coords_suffix": coords, "extract_size": BOX, "do_invert": "Yes"}
    job = project.add_job("Extract", **options, do_norm="Yes", bg_diameter=-1, do_reextract="No", nr_mpi=1)
    project.start(job)
    assert project.status(job) == FINISHED, project.output(job)
    particles = read_blocks(project.folder / job / "particles.star")["particles"]
    picks = picks_of(project, picked)
    assert particles.groupby("rlnMicrographName").size().to_dict() == {
        NAMES[stem]: len(xy) for stem, xy in picks.items()
    }
    for row in particles.itertuples():
        number, stack = row.rlnImageName.split("@")
        image = mrcfile.read(project.folder / stack)[int(number) - 1]
        micrograph = mrcfile.read(project.folder / row.rlnMicrographName)
        assert is_cut_at(image, micrograph, x=int(row.rlnCoordinateX), y=int(row.rlnCoordinateY))


def is_cut_at(image, micrograph, *, x, y):
    """Whether an image is the box around a pixel, inverted, but for scale and ramp of RELION's normalisation."""
    rows, columns = np.indices((BOX, BOX)) - BOX // 2 + np.reshape([y, x], (2, 1, 1))
    # of a box over the border, the part within the micrograph is compared
    inside = (rows >= 0) & (columns >= 0) & (rows < len(micrograph)) & (columns < micrograph.shape[1])
    rows, columns, values = rows[inside], columns[inside], image[inside].astype(float)
    terms = np.stack([-micrograph[rows, columns], rows, columns, np.ones_like(values)], axis=1)
    factors, residual, *_ = np.linalg.lstsq(terms, values, rcond=None)
    return factors[0] > 0 and residual[0] < 1e-6 * len(values)


@pytest.mark.slow
def test_a_second_call_picks_new_micrographs_alone(project, picked):
    run = picked / "results/micrographs/general"
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in run.glob("p*/0000.*")}
    assert {path.parent.name for path in before} == {"picks", "probability"}
    project.add_micrograph(3)
    (project.folder / project.write_ctf([*NAMES.values(), "Micrographs/mic3.mrc"])).replace(project.folder / CTF_STAR)
    job = f"{picked.relative_to(project.folder)}/"
    project.start(job)
    assert project.status(job) == FINISHED, project.output(job)
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in before} == before
    assert set(picks_of(project, picked)) == {"mic1", "mic2", "mic3"}


@pytest.mark.slow
def test_a_mistake_is_told_in_one_line(project):
    job = project.add_job("External", **PICK, **params(diameter="large"))
    project.start(job)
    assert project.status(job) == FAILED and (project.folder / job / FAILURE).exists()
    error = (project.folder / job / "run.err").read_text()
    assert error == "error: --diameter: 'large' is not a number; give Å such as 150, or auto\n"


@pytest.mark.slow
def test_relion_aborts_the_job_and_all_that_it_started(project):
    job = project.add_job("External", **PICK, **params(diameter=DIAMETER))
    folder, started = project.folder / job, project.start_aside(job)
    wait_for(lambda: "Building DAG" in read(folder / "crisp.log"), seconds=90)
    running = [process for process in psutil.process_iter() if runs_in(process, folder)]
    assert running
    (folder / ABORT_NOW).touch()
    wait_for((folder / ABORTED).exists, seconds=90)
    assert not psutil.wait_procs(running, timeout=20)[1]
    started.wait(60)
    assert project.status(job) == STOPPED and "aborted: RELION_JOB_ABORT_NOW was found" in read(folder / "run.err")


def read(path):
    return path.read_text() if path.exists() else ""


def runs_in(process, folder):
    try:
        return process.cwd() == str(folder.resolve())
    except psutil.Error:
        return False


SMALL = TINY["experiments"]["small"] | {
    "training": {"epochs": 1, "crops_per_micrograph": 8, "crops_per_step": 4, "crop_px": 64}
}


@pytest.mark.slow
def test_manual_picks_train_a_network_that_picks(project, monkeypatch):
    manual = project.folder / "ManualPick/job080"
    for stem, inner in (("mic1", "Micrographs"), ("mic2", "raw")):
        (manual / inner).mkdir(parents=True, exist_ok=True)
        xy = pd.DataFrame(project.truth[stem], columns=["rlnCoordinateX", "rlnCoordinateY"])
        write_blocks(manual / inner / f"{stem}_manualpick.star", {"": xy})
    (manual / "coords_suffix_manualpick.star").write_text(f"{CTF_STAR} \n")
    (project.folder / "small.yaml").write_text(yaml.safe_dump({"experiments": {"trained": SMALL}}))
    options = {"fn_exe": INTEGRATION / "crisp_train", "in_coords": "ManualPick/job080/coords_suffix_manualpick.star"}
    job = project.add_job("External", **options, **params(diameter=DIAMETER, settings="small.yaml", report="no"))
    project.start(job)
    assert project.status(job) == FINISHED, project.output(job)
    assert (project.folder / job / "network.pt").resolve() == project.folder.resolve() / job / RUN / "network.pt"
    # a picking job takes its network, finder and threshold
    monkeypatch.chdir(project.folder)
    words = ["--o", "External/job070", "--in_mics", CTF_STAR, "--diameter", str(DIAMETER), "--network", job]
    options = pick_parser().parse_args(words)
    options.o.mkdir()
    write_config(options.o, run_config(options, read_micrograph_list(CTF_STAR)))
    planned = run_snakemake("-n", "-s", snakefile(), "--configfile", "crisp.yaml", "--", "picks", cwd=options.o).stdout
    assert f"{job}{RUN}/centers.yaml" in planned and "rule predict" in planned


def test_the_help_names_the_options():
    for program, option in (("crisp_pick", "--threshold"), ("crisp_train", "--validation")):
        command, own = [INTEGRATION / program, "--help"], variables(sys.executable)
        done = subprocess.run(command, capture_output=True, text=True, env=own)
        assert done.returncode == 0 and option in done.stdout, done.stderr


@pytest.mark.parametrize("option", [["--o", "{}/"], ["--o={}/"]])
def test_a_python_without_the_packages_fails_with_one_line(tmp_path, option):
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    python.chmod(0o755)
    folder = [word.format(tmp_path) for word in option]
    command = [INTEGRATION / "crisp_pick", "--in_mics", "mics.star", *folder, "--diameter", "150"]
    done = subprocess.run(command, capture_output=True, text=True, env=variables(str(python)))
    assert done.returncode == 1
    assert done.stderr == f"error: {python}: is not the Python of CRISP's environment; set CRISP_PYTHON to it\n"
    # without the mark RELION would show a running job
    assert (tmp_path / FAILURE).exists()
