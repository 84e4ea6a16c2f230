"""Rule suggest_micrographs: the micrographs whose correction is likely to teach the network most."""

from typing import TYPE_CHECKING

import pandas as pd

from crisp_core.evaluation.suggestion import suggest_micrographs
from crisp_core.formats.tables import read_table, write_table
from crisp_core.logs import start_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
tables = [read_table(path) for path in snakemake.input.doubt]
doubt = pd.concat([table for table in tables if len(table)] or tables, ignore_index=True)
curation = read_table(snakemake.input.curation)
suggested = suggest_micrographs(doubt, curation, corrected=snakemake.params.corrected)
write_table(suggested, snakemake.output[0], digits=4)
for row in suggested.itertuples():
    log.info("%d. %s: %s", row.rank, row.micrograph, row.reason)
