"""Rule keep_picks: drop candidates of another picker by the rules, and keep those above the threshold as picks."""

from typing import TYPE_CHECKING

import pandas as pd

from crisp_core.formats.arrays import array_names, read_array
from crisp_core.formats.centers import read_centers
from crisp_core.formats.relion_coordinates import read_coordinates_star, write_coordinates_star
from crisp_core.formats.tables import write_table
from crisp_core.logs import start_log
from crisp_core.pickers.running import joined
from crisp_core.pickers.threshold import PUBLISHED, above_threshold
from crisp_core.picking.removal import Sorted, describe_dropped, drop_picks

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
threshold = snakemake.params.threshold
for path in snakemake.input.threshold:
    threshold = read_centers(path)["threshold"]
published = threshold == PUBLISHED
found = read_coordinates_star(snakemake.input.found)
candidates, dropped = [], []
for name in array_names(snakemake.input.images, "valid"):
    table, valid = found[found["micrograph"] == name], read_array(snakemake.input.images, "valid", name)
    rules = {"full_shape": valid.full_shape, "box_px": snakemake.params.edge_box_px, "valid": valid.data}
    kept, gone = Sorted(table, table.iloc[:0].assign(reason="")) if published else drop_picks(table, **rules)
    gone = above_threshold(gone, threshold)
    candidates.append(kept)
    dropped.append(gone)
    log.info("%s: %d candidates%s", name, len(kept), describe_dropped(gone))

table = joined(candidates)
write_coordinates_star(snakemake.output.candidates, table)
write_coordinates_star(snakemake.output.picks, above_threshold(table, threshold))
columns = ["micrograph", "x", "y", "score", "reason"]
write_table(pd.concat([pd.DataFrame(columns=columns), *dropped]), snakemake.output.dropped, digits=6)
