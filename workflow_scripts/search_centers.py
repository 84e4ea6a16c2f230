"""Rule search_centers: try the finders' settings on the validation part, keep the best with its threshold."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import yaml

from crisp_core.classes import PARTICLE
from crisp_core.errors import UserError
from crisp_core.formats.arrays import array_grids, array_names, read_array
from crisp_core.formats.coordinates.placing import onto_grids
from crisp_core.formats.relion_coordinates import read_coordinates_star
from crisp_core.geometry import angstrom_to_px
from crisp_core.logs import start_log
from crisp_core.picking.finders import settings_to_try
from crisp_core.picking.removal import kept_on_map
from crisp_core.picking.search import (
    choose,
    pick_settings,
    scores_by_setting,
    search_table,
)

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
params = snakemake.params
split = pd.read_csv(snakemake.input.split, sep="\t", dtype=str)
validation = set(split.loc[split["part"] == "validation", "micrograph"])
files = {
    name: path
    for path in snakemake.input.probability
    for name in array_names(path, "probability")
    if name in validation
}
grids = {name: array_grids(path, "probability")[name] for name, path in files.items()}
images = {name: path for path in snakemake.input.images for name in array_names(path, "image")}
if not grids:
    raise UserError(
        f"{snakemake.input.split}: no micrograph of the validation part has a map; put one into it, or see the tables "
        f"in results/{snakemake.wildcards.dataset}/{snakemake.wildcards.experiment}/quarantine"
    )
truth = onto_grids(pd.concat(map(read_coordinates_star, snakemake.input.coordinates)), grids)
diameter_px = angstrom_to_px(params.dataset["diameter_angstrom"], next(iter(grids.values())).pixel_size)


def predicted_maps() -> Iterator[tuple[str, np.ndarray]]:
    """Particle probability of the validation micrographs, one at a time."""
    for name, path in files.items():
        yield name, read_array(path, "probability", name).data.astype(np.float32)


def label_maps() -> Iterator[tuple[str, np.ndarray]]:
    """Particle labels of the validation micrographs as 0 and 1, one at a time."""
    for path in snakemake.input.labels:
        for name in array_names(path, "label"):
            if name in files:
                yield name, (read_array(path, "label", name).data == PARTICLE).astype(np.float32)


def kept(name: str) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """Return a filter that keeps the centres of a micrograph which rule `pick` would keep."""
    path = files[name]
    return partial(
        kept_on_map,
        grid=grids[name],
        valid=read_array(images[name], "valid", name).data,
        label=read_array(path, "class", name).data if name in array_names(path, "class") else None,
        removal=params.removal,
        diameter_px=params.dataset["diameter_px"],
        box_px=params.edge_box_px,
    )


maps = {"predicted": predicted_maps, "labels": label_maps}[params.maps]
settings = settings_to_try(params.finder)
scored = scores_by_setting(maps(), truth, diameter_px=diameter_px, settings=settings, keep=kept)
rows = search_table(scored, params.target_precision)
rows.to_csv(snakemake.output.search, sep="\t", index=False, float_format="%.6g")
best = settings[choose(rows, params.criterion)]
if params.maps == "labels":
    # a threshold on perfect masks says nothing about predictions
    scored = scores_by_setting(predicted_maps(), truth, diameter_px=diameter_px, settings=[best], keep=kept)
chosen = {"network": params.network} | pick_settings(best, scored[best], params.target_precision)
with open(snakemake.output.centers, "w") as file:
    yaml.safe_dump(chosen, file, sort_keys=False)
log.info(
    "%s, threshold %.3f; precision %.3f and recall %.3f on the validation part",
    best,
    *(chosen[key] for key in ("threshold", "expected_precision", "expected_recall")),
)
