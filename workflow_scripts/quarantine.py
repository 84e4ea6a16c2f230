"""Rule quarantine: one table of everything that a dataset's stages refused, and one of what is beside micrographs."""

from itertools import chain
from typing import TYPE_CHECKING

import pandas as pd

from crisp_core.logs import start_log
from crisp_core.quarantine import read_quarantine, write_quarantine

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
refused = list(chain.from_iterable(read_quarantine(path) for path in snakemake.input))
for path, stage, reason in refused:
    log.warning("quarantined by %s: %s (%s)", stage, path, reason)
write_quarantine(snakemake.output.quarantine, refused)
others = pd.DataFrame(list(snakemake.params.left_out.items()), columns=["path", "reason"])
others.to_csv(snakemake.output.left_out, sep="\t", index=False)
if len(others):
    log.warning(
        "%d files left out, see %s; the first: %s (%s)", len(others), snakemake.output.left_out, *others.iloc[0]
    )
