"""Rule plot_precision_recall: precision against recall of the picks, for each part."""

from typing import TYPE_CHECKING

from crisp_core.figures.precision_recall import draw_precision_recall
from crisp_core.figures.style import save_figure
from crisp_core.formats.tables import read_table
from crisp_core.logs import start_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

start_log(snakemake.log[0])
curve = read_table(snakemake.input.curve)
pooled = read_table(snakemake.input.picks).query("micrograph == 'all'").set_index("part")
chosen = {part: (row["recall"], row["precision"]) for part, row in pooled.iterrows()}
save_figure(draw_precision_recall(dict(iter(curve.groupby("part"))), chosen=chosen), snakemake.output[0])
