"""Rule pool_noise: one table each of all patches, spectra (with the pooled one) and micrographs."""

from typing import TYPE_CHECKING

import pandas as pd

from crisp_core.formats.tables import read_table, write_table
from crisp_core.logs import start_log
from crisp_core.particles.noise import add_pooled_spectrum

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
tables = {
    name: pd.concat([read_table(path) for path in paths], ignore_index=True) for name, paths in snakemake.input.items()
}
tables["spectra"] = add_pooled_spectrum(tables["spectra"])
empty = tables["micrographs"].query("n_patches == 0")["micrograph"].tolist()
if empty:
    log.warning("%d of %d micrographs without a patch: %s", len(empty), len(tables["micrographs"]), ", ".join(empty))
for name, table in tables.items():
    write_table(table, snakemake.output[name], digits=6)
