"""Rule plot_histograms: how a table's experiments spread their probabilities, and their regions."""

from typing import TYPE_CHECKING

import pandas as pd

from crisp_core.evaluation.maps import pooled_map_row
from crisp_core.figures.histograms import draw_histograms
from crisp_core.figures.style import save_figure
from crisp_core.formats.tables import read_table
from crisp_core.logs import start_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

start_log(snakemake.log[0])
rows = [
    pooled_map_row(read_table(path)).to_dict() | {"name": f"{dataset}/{experiment}"}
    for (dataset, experiment, *_), path in zip(snakemake.params.runs, snakemake.input.maps, strict=True)
]
save_figure(draw_histograms(pd.DataFrame(rows)), snakemake.output[0])
