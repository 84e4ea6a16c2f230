"""Config of an external job of cryoSPARC: one dataset, picked by the general network or by one that the job trains."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from crisp_core.segmentation.shipped import DEFAULT_NETWORK

DATASET, EXPERIMENT = "exposures", "crisp"
# tables of what could not be picked
QUARANTINES = (f"results/{DATASET}/quarantine.tsv", f"results/{DATASET}/{EXPERIMENT}/quarantine.tsv")


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
