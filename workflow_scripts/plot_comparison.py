"""Rule plot_comparison: precision-recall curves of all entries in one plot, and how far they overlap."""

from typing import TYPE_CHECKING

from crisp_core.figures.overlap import draw_overlap
from crisp_core.figures.precision_recall import draw_precision_recall
from crisp_core.figures.style import save_figure
from crisp_core.formats.tables import read_table
from crisp_core.logs import start_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

start_log(snakemake.log[0])
table = read_table(snakemake.input.table).set_index("entry")
curves = dict(iter(read_table(snakemake.input.curves).groupby("entry", sort=False)))
chosen = {entry: (row["recall"], row["precision"]) for entry, row in table.iterrows()}
save_figure(draw_precision_recall(curves, chosen=chosen), snakemake.output.curves)
save_figure(draw_overlap(read_table(snakemake.input.overlap, index_col="entry")), snakemake.output.overlap)
