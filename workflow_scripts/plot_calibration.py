"""Rule plot_calibration: observed against expected precision of the picks."""

from typing import TYPE_CHECKING

from crisp_core.figures.calibration import draw_calibration
from crisp_core.figures.style import save_figure
from crisp_core.formats.tables import read_table
from crisp_core.logs import start_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

start_log(snakemake.log[0])
save_figure(draw_calibration(read_table(snakemake.input.calibration)), snakemake.output[0])
