"""Rule plot_search: one heat map of the search per finder."""

from typing import TYPE_CHECKING

from crisp_core.figures.search import draw_search
from crisp_core.figures.style import save_figure
from crisp_core.formats.centers import read_centers
from crisp_core.formats.tables import read_table
from crisp_core.logs import start_log
from crisp_core.picking.finders import finder_of_file

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

start_log(snakemake.log[0])
centers = read_centers(snakemake.input.centers)
rows = read_table(snakemake.input.search)
finder = finder_of_file(centers)
chosen = {"finder": finder.name} | finder.shown()
save_figure(draw_search(rows, snakemake.params.criterion, chosen=chosen), snakemake.output[0])
