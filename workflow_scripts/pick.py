"""Rule pick: find centres in a batch, drop some by the rules, and keep those above the threshold as picks."""

from typing import TYPE_CHECKING

import pandas as pd

from crisp_core.evaluation.calibration import add_expected_precision
from crisp_core.formats.arrays import array_grids, array_names, read_array
from crisp_core.formats.centers import read_centers
from crisp_core.formats.relion_coordinates import write_coordinates_star
from crisp_core.formats.tables import write_table
from crisp_core.geometry import angstrom_to_px
from crisp_core.logs import start_log
from crisp_core.picking.cleaning import clean_picks, with_junk_distance
from crisp_core.picking.finders import finder_of_file
from crisp_core.picking.removal import apply_rules, describe_picks
from crisp_core.picking.search import find_centers
from crisp_core.picking.settings import RemovalSettings
from crisp_core.picking.shapes import no_picks, picks_with_shapes, with_shapes, without_shapes
from crisp_core.picking.spacing import check_no_duplicates

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
params, probability = snakemake.params, snakemake.input.probability
centers = read_centers(snakemake.input.centers)
finder, removal = finder_of_file(centers), RemovalSettings.of(params.removal)
threshold = centers["threshold"] if params.threshold is None else params.threshold
candidates, dropped = [no_picks()], [no_picks().assign(reason="")]
classified = set(array_names(probability, "class"))
for name, grid in array_grids(probability, "probability").items():
    probabilities = read_array(probability, "probability", name).data.astype("float32")
    diameter_px = angstrom_to_px(params.dataset["diameter_angstrom"], grid.pixel_size)
    found = find_centers(probabilities, finder, diameter_px=diameter_px)
    found = with_shapes(found, probabilities, diameter_px=diameter_px, pixel_size=grid.pixel_size, threshold=threshold)
    found.insert(0, "micrograph", name)
    label = read_array(probability, "class", name).data if name in classified else None
    sorted_picks = apply_rules(
        with_junk_distance(found, label, grid),
        grid,
        valid=read_array(snakemake.input.images, "valid", name).data,
        label=label,
        removal=removal,
        diameter_px=params.dataset["diameter_px"],
        box_px=params.edge_box_px,
    )
    kept, gone = clean_picks(sorted_picks, removal)
    gone = gone[gone["score"] >= threshold]
    candidates.append(kept)
    dropped.append(gone)
    log.info("%s: %s", name, describe_picks(kept, gone, threshold))
table = pd.concat(candidates, ignore_index=True)
if "calibration" in centers:  # of the validation part
    table = add_expected_precision(table, pd.DataFrame(centers["calibration"]))
write_coordinates_star(snakemake.output.candidates, without_shapes(table))
picks = table[table["score"] >= threshold]
check_no_duplicates(picks, diameter_px=params.dataset["diameter_px"])
write_coordinates_star(snakemake.output.picks, picks_with_shapes(picks, psi_prior=params.psi_prior))
write_table(pd.concat(dropped, ignore_index=True), snakemake.output.dropped, digits=6)
