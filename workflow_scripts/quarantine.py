"""Rule quarantine: one table of everything that a dataset's stages refused."""

from itertools import chain
from typing import TYPE_CHECKING

from crisp_core.logs import start_log
from crisp_core.quarantine import read_quarantine, write_quarantine

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
refused = list(chain.from_iterable(read_quarantine(path) for path in snakemake.input))
for path, stage, reason in refused:
    log.warning("quarantined by %s: %s (%s)", stage, path, reason)
write_quarantine(snakemake.output[0], refused)
