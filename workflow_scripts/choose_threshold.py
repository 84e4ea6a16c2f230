"""Rule choose_threshold: the score from which on another picker does best on the validation part."""

from typing import TYPE_CHECKING

from crisp_core.datasets.splits import read_part
from crisp_core.formats.arrays import array_names, read_array
from crisp_core.formats.centers import write_centers
from crisp_core.formats.relion_coordinates import read_coordinates_star, read_coordinates_stars
from crisp_core.formats.tables import read_table
from crisp_core.logs import start_log
from crisp_core.pickers.running import joined
from crisp_core.pickers.threshold import choose_threshold
from crisp_core.picking.removal import drop_picks

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
validation = set(read_part(snakemake.input.split, "validation"))
for path in snakemake.input.names:
    validation &= set(read_table(path)["micrograph"])
found = read_coordinates_stars(snakemake.input.found)
candidates = []
for path in snakemake.input.images:
    for name in validation & set(array_names(path, "valid")):
        valid = read_array(path, "valid", name)
        rules = {"full_shape": valid.full_shape, "box_px": snakemake.params.edge_box_px, "valid": valid.data}
        candidates.append(drop_picks(found[found["micrograph"] == name], **rules).kept)
chosen = choose_threshold(
    read_coordinates_star(snakemake.input.coordinates),
    joined(candidates),
    sorted(validation),
    diameter_px=snakemake.params.dataset["diameter_px"],
)
write_centers(snakemake.output.threshold, chosen)
log.info("threshold %g; precision %.3f and recall %.3f on the validation part", *chosen.values())
