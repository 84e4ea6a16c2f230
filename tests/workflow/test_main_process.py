"""What Snakemake's own environment needs where jobs run in a conda environment (`--sdm conda`)."""

import os
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, packages_distributions, requires

import numpy as np
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from crisp_core.formats.mrc import write_mrc

from .conftest import ROOT, write_config

pytestmark = pytest.mark.slow

# docs/running.md says the same
NEEDED = ["numpy", "pandas", "scipy", "h5py", "mrcfile", "starfile", "tifffile", "pillow", "gemmi", "pooch", "pydantic"]

REFUSE = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}} in this environment", name=name)

sys.meta_path.insert(0, Refuse())
"""


def with_requirements(names):
    """The distributions with all that they require, by canonical name."""
    todo, done = {canonicalize_name(name) for name in names}, set()
    while todo:
        done.add(name := todo.pop())
        try:
            needed = [Requirement(line) for line in requires(name) or []]
        except PackageNotFoundError:
            continue
        todo |= {canonicalize_name(r.name) for r in needed if not r.marker or r.marker.evaluate({"extra": ""})} - done
    return done


@pytest.fixture(scope="module")
def short_of_packages(tmp_path_factory):
    """A folder for PYTHONPATH that hides every package but Snakemake's and those that are said to be needed."""
    known = with_requirements(["snakemake", "snakemake-executor-plugin-slurm", *NEEDED])
    modules = packages_distributions().items()
    blocked = {module for module, names in modules if not known & {canonicalize_name(name) for name in names}}
    assert {"torch", "aspire", "topaz", "matplotlib", "skimage", "segmentation_models_pytorch"} <= blocked
    folder = tmp_path_factory.mktemp("short")
    (folder / "sitecustomize.py").write_text(REFUSE.format(blocked=blocked))
    return folder


def plan(arguments, *, cwd, path):
    """Output of a dry run that finds the packages of `path` first."""
    command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "-n", *arguments]
    environment = os.environ | {"PYTHONPATH": str(path)}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    return done.stdout + done.stderr


def test_hidden_packages_are_hidden(short_of_packages):
    command = [sys.executable, "-c", "import torch"]
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": str(short_of_packages)}, capture_output=True)
    assert done.returncode and b"in this environment" in done.stderr


def test_the_default_run_is_planned_with_few_packages(short_of_packages, tmp_path):
    output = plan([], cwd=tmp_path, path=short_of_packages)
    assert re.search(r"^train +1$", output, re.M), output[-3000:]


def test_real_files_are_planned_with_few_packages(short_of_packages, tmp_path):
    """Micrographs, coordinates, a CTF file and exposures are looked at by the main process."""
    for name in ("a", "b", "c"):
        write_mrc(tmp_path / f"{name}.mrc", np.zeros((256, 256)), pixel_size=2.0, dtype=np.float32)
        (tmp_path / f"{name}.csv").write_text("x,y\n50,60\n")
    ctf = "data_micrographs\n\nloop_\n_rlnMicrographName\n_rlnDefocusU\n_rlnDefocusV\n_rlnDefocusAngle\n"
    (tmp_path / "ctf.star").write_text(ctf + "".join(f"{name}.mrc 9000 9000 0\n" for name in "abc"))
    config = yaml.safe_load((ROOT / "examples/your-own-data.yaml").read_text())
    (dataset,) = config["datasets"].values()
    dataset |= {"micrographs": "*.mrc", "coordinates": {"files": "*.csv", "origin": "top-left"}, "ctf": "ctf.star"}
    dataset |= {"particle_diameter_angstrom": 100}
    path = write_config(tmp_path / "data.yaml", config)
    output = plan(["--configfile", str(path)], cwd=tmp_path, path=short_of_packages)
    assert re.search(r"^train +1$", output, re.M), output[-3000:]


def test_the_documentation_names_the_packages():
    assert f"`snakemake {' '.join(NEEDED)}`" in " ".join((ROOT / "docs/running.md").read_text().split())
