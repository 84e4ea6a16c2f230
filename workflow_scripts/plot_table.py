"""Rule plot_table: the experiments of a table as dots."""

from typing import TYPE_CHECKING

from crisp_core.figures.experiments import draw_experiments
from crisp_core.figures.style import save_figure
from crisp_core.formats.tables import read_table
from crisp_core.logs import start_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

start_log(snakemake.log[0])
table = read_table(snakemake.input.table)
save_figure(draw_experiments(table), snakemake.output[0])
