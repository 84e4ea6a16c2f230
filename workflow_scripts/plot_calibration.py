"""Rule plot_calibration: observed against expected precision of the picks."""

from typing import TYPE_CHECKING

import pandas as pd

from crisp_core.figures.calibration import draw_calibration
from crisp_core.figures.style import save_figure
from crisp_core.logs import start_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

start_log(snakemake.log[0])
save_figure(draw_calibration(pd.read_csv(snakemake.input.calibration, sep="\t")), snakemake.output[0])
