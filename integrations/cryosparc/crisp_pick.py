#!/usr/bin/env python3
"""Pick the exposures of a cryoSPARC job with CRISP, as an external job: docs/cryosparc.md."""

import argparse
import sys
from pathlib import Path

import numpy as np
from cryosparc.tools import CryoSPARC, ExternalJobController

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from crisp_core.datasets.quarantine import read_unpicked
from crisp_core.errors import UserError
from crisp_core.external.cryosparc import QUARANTINES, external_config
from crisp_core.external.job_folder import locked
from crisp_core.external.running import run_workflow, write_config
from crisp_core.formats.cryosparc_job import exposures_entry, fill_output

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--project", required=True, help="project, such as P3")
parser.add_argument("--workspace", required=True, help="workspace, such as W1")
parser.add_argument("--exposures", nargs=2, required=True, metavar=("JOB", "OUTPUT"), help="J5 exposures_accepted")
parser.add_argument("--particles", nargs=2, metavar=("JOB", "OUTPUT"), help="picks of some exposures, to train on")
parser.add_argument("--diameter", type=float, required=True, help="longest extent of the particle, Å")
parser.add_argument("--settings", type=Path, help="config file whose settings are added to the job's own config")
parser.add_argument("--folder", type=Path, help="folder of CRISP's results; by default crisp/ of the job's folder")
parser.add_argument("--j", type=int, default=8, help="number of CPU cores")
parser.add_argument("--gpu", help="GPUs such as 0 or 0:1, or none; default: those that PyTorch finds")


def pick(job: ExternalJobController, project: Path, options: argparse.Namespace) -> None:
    """Run the workflow on the exposures, save its picks as the output of the job, and log what it could not pick."""
    folder = (options.folder or Path(job.dir) / "crisp").absolute()
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        make_picks(job, project, folder, options)
        picks = np.load(folder / "results/exposures/crisp/cryosparc/picks.cs")
        output = job.alloc_output("picks", picks["uid"])
        for field in fill_output(output, picks):
            job.log(f"CRISP has no {field}, so it keeps cryoSPARC's value", level="warning")
        for row in read_unpicked(*(folder / path for path in QUARANTINES)):
            job.log(f"not picked: {row.path}: {row.reason}", level="warning")
        job.save_output("picks", output)


def make_picks(job: ExternalJobController, project: Path, folder: Path, options: argparse.Namespace) -> None:
    """Write the inputs of the job and a config into the folder, and run the workflow in it."""
    files = {name: folder / f"{name}.cs" for name in ("exposures", "particles") if getattr(options, name)}
    for name, path in files.items():
        job.load_input(name).save(path)
    entry = exposures_entry(files["exposures"], project=project)
    write_config(folder, external_config(entry, diameter_angstrom=options.diameter, particles=files.get("particles")))
    run_workflow(folder, options, targets=["picks", *QUARANTINES])


def main(arguments: list[str] | None = None) -> None:
    """Make the external job, and run it."""
    options = parser.parse_args(arguments)
    project = CryoSPARC().find_project(options.project)
    job = project.create_external_job(options.workspace, title="CRISP picks")
    job.connect("exposures", *options.exposures, slots=["micrograph_blob", "?mscope_params"])
    if options.particles:
        job.connect("particles", *options.particles, slots=["location"])
    job.add_output("particle", "picks", slots=["location", "pick_stats"], title="Picks of CRISP")
    try:
        with job.run():
            pick(job, Path(project.dir), options)
    except (UserError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
