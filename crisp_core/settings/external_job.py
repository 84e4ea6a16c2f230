"""A job of another program: its config, of one dataset that a network picks, and the run of the workflow."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from crisp_core.errors import UserError
from crisp_core.segmentation.shipped import DEFAULT_NETWORK

DATASET, EXPERIMENT = "exposures", "crisp"
SNAKEFILE = Path(__file__).parents[2] / "Snakefile"


def external_config(
    entry: Mapping[str, Any], *, diameter_angstrom: float, particles: str | Path | None = None
) -> dict[str, Any]:
    """Config of the run exposures/crisp, which picks and extracts no particle images.

    Parameters
    ----------
    entry : mapping
        Keys of the dataset: its micrographs, their pixel size and more.
    diameter_angstrom : float
        Longest extent of the particle, in Å.
    particles : str or Path, optional
        A .cs file with the locations of the particles on some of the micrographs; the job trains a network on them.
        Without it the general network picks.
    """
    dataset = {**entry, "particle_diameter_angstrom": diameter_angstrom}
    experiment: dict[str, Any] = {"particles": {"extract": False}}
    if particles is None:
        experiment["network"] = DEFAULT_NETWORK
    else:
        dataset["coordinates"] = {"files": str(particles), "format": "cryosparc", "origin": "top-left"}
    return {
        "run": [f"{DATASET}/{EXPERIMENT}"],
        "datasets": {DATASET: dataset},
        "experiments": {EXPERIMENT: experiment},
    }


def run_workflow(
    config: Mapping[str, Any], folder: str | Path, *, target: str, cores: int, configfiles: Sequence[str | Path] = ()
) -> None:
    """Write the config to a folder, and run the workflow there.

    Parameters
    ----------
    config : mapping
        Config of the run, which becomes config.yaml.
    folder : str or Path
        Folder of the results, which may exist; a second call continues the first.
    target : str
        Target of the workflow, such as picks.
    cores : int
        Number of cores.
    configfiles : sequence of str or Path
        Further config files, whose keys take precedence.

    Raises
    ------
    UserError
        If the workflow fails, whose messages are on the standard error.
    """
    (Path(folder) / "config.yaml").write_text(yaml.safe_dump(dict(config), sort_keys=False), encoding="utf-8")
    files = ["config.yaml", *(str(Path(path).absolute()) for path in configfiles)]
    command = [sys.executable, "-m", "snakemake", "-s", str(SNAKEFILE), "--cores", str(cores), target]
    if subprocess.run([*command, "--configfile", *files], cwd=folder, check=False).returncode:
        raise UserError(f"{folder}: the workflow failed; correct what its last message names, and start the job again")
