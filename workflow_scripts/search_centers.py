"""Rule search_centers: try the finders' settings on the validation part, keep the best with its threshold."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import yaml

from crisp_core.arrays import array_grids, read_array
from crisp_core.centers.search import FINDERS, choose, default_settings, search
from crisp_core.coordinates import onto_grids
from crisp_core.geometry import angstrom_to_px
from crisp_core.logs import start_log
from crisp_core.metrics.pixels import PARTICLE
from crisp_core.star import read_coordinates_star

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
settings = snakemake.params.centers
kind = {"predicted": "probability", "labels": "label"}[settings["maps"]]


def particle_map(path: str, name: str) -> np.ndarray:
    """Probability of the particle class, which for a label is 0 or 1."""
    values = read_array(path, kind, name).data
    return (values == PARTICLE if kind == "label" else values).astype(np.float32)


split = pd.read_csv(snakemake.input.split, sep="\t", dtype=str)
validation = set(split.loc[split["part"] == "validation", "micrograph"])
files = {name: path for path in snakemake.input.maps for name in array_grids(path, kind) if name in validation}
grids = {name: array_grids(path, kind)[name] for name, path in files.items()}
rows = search(
    ((name, particle_map(path, name)) for name, path in files.items()),
    onto_grids(read_coordinates_star(snakemake.input.coordinates), grids),
    diameter_px=angstrom_to_px(snakemake.params.diameter_angstrom, next(iter(grids.values())).pixel_size),
    finders=list(FINDERS) if settings["finder"] == "search" else [settings["finder"]],
    target_precision=settings["target_precision"],
)
if settings["finder"] != "search":
    rows = default_settings(rows)
rows.to_csv(snakemake.output.search, sep="\t", index=False, float_format="%.6g")
best = choose(rows, settings["criterion"])
centers = {
    "finder": best["finder"],
    "e": float(best["e"]),
    "s": float(best["s"]),
    "threshold": float(best["threshold"]),
}
with open(snakemake.output.centers, "w") as file:
    yaml.safe_dump(centers, file, sort_keys=False)
log.info("%s; on the validation part F1 %.3f, average precision %.3f", centers, best["f1"], best["ap"])
