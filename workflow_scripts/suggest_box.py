"""Rule suggest_box: diameter, box and mask that follow from the sizes of the first picks."""

from typing import TYPE_CHECKING

from crisp_core.formats.relion_coordinates import read_coordinates_stars
from crisp_core.formats.tables import write_table
from crisp_core.logs import start_log
from crisp_core.picking.sizes import suggest_sizes, without_missing

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
dataset = snakemake.params.dataset
picks = without_missing(read_coordinates_stars(snakemake.input.picks))
suggested = suggest_sizes(picks, pixel_size=dataset["pixel_size"], given_angstrom=dataset["diameter_angstrom"])
suggested = suggested.assign(last_batch=snakemake.params.last_batch)
write_table(suggested, snakemake.output[0], digits=6)
log.info("box %.4g Å from the sizes of %d picks", suggested["box_angstrom"].item(), suggested["n_picks"].item())
