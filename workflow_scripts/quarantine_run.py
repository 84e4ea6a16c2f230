"""Rule quarantine_run: micrographs that the batches of a run refused."""

from typing import TYPE_CHECKING

from crisp_core.datasets.quarantine import read_quarantine, write_quarantine
from crisp_core.logs import start_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
refused = read_quarantine(*snakemake.input.refused)
for path, stage, reason in refused:
    log.warning("quarantined by %s: %s (%s)", stage, path, reason)
write_quarantine(snakemake.output[0], refused)
