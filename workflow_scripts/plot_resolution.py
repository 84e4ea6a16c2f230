"""Rule plot_resolution: corrected FSC curves of all sets."""

from typing import TYPE_CHECKING

from crisp_core.figures.resolution import draw_resolution
from crisp_core.figures.style import save_figure
from crisp_core.formats.tables import read_table
from crisp_core.logs import start_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

start_log(snakemake.log[0])
fsc, resolution = (read_table(path) for path in (snakemake.input.fsc, snakemake.input.resolution))
save_figure(draw_resolution(fsc, resolution), snakemake.output[0])
