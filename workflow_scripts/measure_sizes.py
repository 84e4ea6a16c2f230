"""Rule measure_sizes: distribution of the sizes of the picks, and the diameter, box and mask that follow from it."""

from typing import TYPE_CHECKING

from crisp_core.figures.sizes import draw_sizes
from crisp_core.figures.style import save_figure
from crisp_core.formats.relion_coordinates import read_coordinates_stars
from crisp_core.formats.tables import write_table
from crisp_core.logs import start_log
from crisp_core.picking.sizes import size_table, suggest_sizes, without_missing

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
dataset = snakemake.params.dataset
picks = without_missing(read_coordinates_stars(snakemake.input.picks))
suggested = suggest_sizes(picks, pixel_size=dataset["pixel_size"], given_angstrom=dataset["diameter_angstrom"])
write_table(size_table(picks), snakemake.output.table, digits=4)
write_table(suggested, snakemake.output.suggested, digits=6)
save_figure(draw_sizes(picks, suggested=suggested), snakemake.output.plot)
row = suggested.iloc[0]
log.info(
    "estimated diameter %.4g Å (%.4g to %.4g) of %d picks on %d micrographs; the config has %.4g Å",
    *(row[f"{key}_angstrom"] for key in ("diameter", "low", "high")),
    *(row["n_picks"], row["n_micrographs"], row["given_angstrom"]),
)
