"""Rule curate: a verdict on every micrograph of a run, good, doubtful or bad, with the reason in words."""

from typing import TYPE_CHECKING

import pandas as pd

from crisp_core.evaluation.curation import add_verdicts
from crisp_core.evaluation.settings import CurationSettings
from crisp_core.formats.tables import read_table, write_table
from crisp_core.logs import start_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
tables = [read_table(path) for path in snakemake.input]
table = pd.concat([table for table in tables if len(table)] or tables, ignore_index=True)
table = add_verdicts(table, CurationSettings.of(snakemake.params.curation))
write_table(table, snakemake.output[0])
for verdict, n in table["verdict"].value_counts().items():
    log.info("%d micrographs are %s", n, verdict)
log.info("%d micrographs are excluded", (table["excluded"] != "").sum())
for column in table.columns[table.isna().all()]:
    log.info("column %s is empty: this run has no data for it", column)
