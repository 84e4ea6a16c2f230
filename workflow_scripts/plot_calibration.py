"""Rule plot_calibration: observed against expected precision of the picks."""

from typing import TYPE_CHECKING

import pandas as pd

from crisp_core.figures.plots import calibration_curves, save
from crisp_core.logs import start_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

start_log(snakemake.log[0])
save(calibration_curves(pd.read_csv(snakemake.input.calibration, sep="\t")), snakemake.output[0])
