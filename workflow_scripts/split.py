"""Rule split: which micrographs train, validate and test; those that were added since the parts were drawn test."""

from typing import TYPE_CHECKING

from crisp_core.datasets.quarantine import read_quarantine
from crisp_core.datasets.splits import REST, n_quarantined, split_by_lists, with_added
from crisp_core.formats.tables import read_table, write_table
from crisp_core.logs import start_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
parts = snakemake.params.split
names = read_table(snakemake.input.names, keep_default_na=False)
labelled = [name for name in names["micrograph"] if name]
table = read_table(snakemake.input.drawn)
if isinstance(parts["train"], list):
    refused = read_quarantine(*snakemake.input.prepare, *snakemake.input.coordinates)
    unlabelled = set(snakemake.params.micrographs) - set(labelled)
    n_refused = n_quarantined(unlabelled, names, refused)
    table = split_by_lists(labelled, **parts, unlabelled=unlabelled, n_refused=n_refused)
elif parts["test"] == REST:
    table = with_added(table, set(labelled) - set(snakemake.params.drawn_from))
table = table[~table["micrograph"].isin(snakemake.params.unscored)]
write_table(table, snakemake.output.split)
log.info("%s", ", ".join(f"{n} {part}" for part, n in table["part"].value_counts().items()))
