"""Rule split: deal the labelled micrographs out to train, validation and test."""

from typing import TYPE_CHECKING

import pandas as pd

from crisp_core.logs import start_log
from crisp_core.splits import split

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
names = pd.read_csv(snakemake.input.names, sep="\t", dtype=str, keep_default_na=False)["micrograph"]
table = split([name for name in names if name], **snakemake.params.split, seed=snakemake.params.seed)
table.to_csv(snakemake.output.split, sep="\t", index=False)
log.info("split: %s", ", ".join(f"{n} {part}" for part, n in table["part"].value_counts().items()))
