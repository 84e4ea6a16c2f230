"""Rule plot_training: loss, IoU and learning rate by epoch."""

from typing import TYPE_CHECKING

from crisp_core.figures.style import save_figure
from crisp_core.figures.training import draw_training
from crisp_core.formats.tables import read_table
from crisp_core.logs import start_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

start_log(snakemake.log[0])
save_figure(draw_training(read_table(snakemake.input.history)), snakemake.output[0])
