"""Rule plot_search: one heat map of the search per finder."""

from typing import TYPE_CHECKING

import pandas as pd
import yaml

from crisp_core.figures.search import draw_search
from crisp_core.figures.style import save_figure
from crisp_core.logs import start_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

start_log(snakemake.log[0])
with open(snakemake.input.centers) as file:
    centers = yaml.safe_load(file)
rows = pd.read_csv(snakemake.input.search, sep="\t")
chosen = (centers["finder"], centers["e"], centers["s"])
save_figure(draw_search(rows, snakemake.params.criterion, chosen=chosen), snakemake.output[0])
