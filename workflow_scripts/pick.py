"""Rule pick: find centres in a batch, drop some by the rules, and keep those above the threshold as picks."""

from typing import TYPE_CHECKING

import pandas as pd
import yaml

from crisp_core.evaluation.calibration import add_expected_precision
from crisp_core.formats.arrays import array_grids, array_names, read_array
from crisp_core.formats.relion_coordinates import write_coordinates_star
from crisp_core.geometry import angstrom_to_px
from crisp_core.logs import start_log
from crisp_core.picking.finders import finder_of_file
from crisp_core.picking.removal import apply_rules, describe_dropped
from crisp_core.picking.search import find_centers
from crisp_core.picking.settings import RemovalSettings
from crisp_core.picking.shapes import picks_with_shapes, with_shapes, without_shapes
from crisp_core.picking.sizes import SHAPE_COLUMNS

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
params, probability = snakemake.params, snakemake.input.probability
with open(snakemake.input.centers) as file:
    centers = yaml.safe_load(file)
finder, removal = finder_of_file(centers), RemovalSettings.of(params.removal)
threshold = centers["threshold"] if params.threshold is None else params.threshold
columns = {"micrograph": str} | dict.fromkeys(("x", "y", "score", *SHAPE_COLUMNS), float)
empty = pd.DataFrame(columns=list(columns)).astype(columns)
candidates, dropped = [empty], [empty.assign(reason="")]
classified = set(array_names(probability, "class"))
for name, grid in array_grids(probability, "probability").items():
    probabilities = read_array(probability, "probability", name).data.astype("float32")
    diameter_px = angstrom_to_px(params.dataset["diameter_angstrom"], grid.pixel_size)
    found = find_centers(probabilities, finder, diameter_px=diameter_px)
    found = with_shapes(found, probabilities, diameter_px=diameter_px, pixel_size=grid.pixel_size, threshold=threshold)
    found.insert(0, "micrograph", name)
    kept, gone = apply_rules(
        found,
        grid,
        valid=read_array(snakemake.input.images, "valid", name).data,
        label=read_array(probability, "class", name).data if name in classified else None,
        removal=removal,
        diameter_px=params.dataset["diameter_px"],
        box_px=params.edge_box_px,
    )
    gone = gone[gone["score"] >= threshold]
    candidates.append(kept)
    dropped.append(gone)
    n_picks = (kept["score"] >= threshold).sum()
    log.info("%s: %d picks of %d candidates%s", name, n_picks, len(kept), describe_dropped(gone))

table = pd.concat(candidates, ignore_index=True)
if "calibration" in centers:  # of the validation part
    table = add_expected_precision(table, pd.DataFrame(centers["calibration"]))
write_coordinates_star(snakemake.output.candidates, without_shapes(table))
picks = table[table["score"] >= threshold]
write_coordinates_star(snakemake.output.picks, picks_with_shapes(picks, psi_prior=params.psi_prior))
pd.concat(dropped, ignore_index=True).to_csv(snakemake.output.dropped, sep="\t", index=False, float_format="%.6g")
