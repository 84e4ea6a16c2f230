"""Rule exclude_micrographs: micrographs of a batch that the config excludes from what is extracted, with the reason."""

from typing import TYPE_CHECKING

import pandas as pd

from crisp_core.evaluation.curation import add_verdicts, exclusion
from crisp_core.evaluation.settings import CurationSettings
from crisp_core.formats.tables import read_table, write_table
from crisp_core.logs import start_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
settings, verdicts = CurationSettings.of(snakemake.params.curation), {}
for path in snakemake.input:
    judged = add_verdicts(read_table(path), settings)
    verdicts |= dict(zip(judged["micrograph"], judged["verdict"], strict=True))
names = snakemake.params.names
table = pd.DataFrame({"micrograph": names, "excluded": [exclusion(x, verdicts.get(x, ""), settings) for x in names]})
table = table[table["excluded"] != ""]
write_table(table, snakemake.output[0])
log.info("%d of %d micrographs are excluded", len(table), len(names))
