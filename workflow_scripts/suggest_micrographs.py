"""Rule suggest_micrographs: the micrographs whose correction is likely to teach the network most."""

from typing import TYPE_CHECKING

import pandas as pd

from crisp_core.evaluation.suggestion import suggest_micrographs
from crisp_core.logs import start_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
tables = [pd.read_csv(path, sep="\t", dtype={"micrograph": str}) for path in snakemake.input.doubt]
doubt = pd.concat([table for table in tables if len(table)] or tables, ignore_index=True)
curation = pd.read_csv(snakemake.input.curation, sep="\t", dtype={"micrograph": str})
suggested = suggest_micrographs(doubt, curation, corrected=snakemake.params.corrected)
suggested.to_csv(snakemake.output[0], sep="\t", index=False, float_format="%.4g")
for row in suggested.itertuples():
    log.info("%d. %s: %s", row.rank, row.micrograph, row.reason)
