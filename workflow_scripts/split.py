"""Rule split: which micrographs train, validate and test; those that were added since the parts were drawn test."""

from typing import TYPE_CHECKING

import pandas as pd

from crisp_core.datasets.splits import REST, split_by_lists, with_added
from crisp_core.logs import start_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
parts = snakemake.params.split
names = pd.read_csv(snakemake.input.names, sep="\t", dtype=str, keep_default_na=False)["micrograph"]
labelled = [name for name in names if name]
table = pd.read_csv(snakemake.input.drawn, sep="\t", dtype=str)
if isinstance(parts["train"], list):
    table = split_by_lists(labelled, **parts, refused=set(snakemake.params.micrographs) - set(labelled))
elif parts["test"] == REST:
    table = with_added(table, set(labelled) - set(snakemake.params.drawn_from))
table = table[~table["micrograph"].isin(snakemake.params.unscored)]
table.to_csv(snakemake.output.split, sep="\t", index=False)
log.info("%s", ", ".join(f"{n} {part}" for part, n in table["part"].value_counts().items()))
