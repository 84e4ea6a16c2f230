"""Rule draw_split: deal the labelled micrographs of the first run, or those that are listed, out to the parts."""

from typing import TYPE_CHECKING

import pandas as pd

from crisp_core.datasets.quarantine import read_quarantine
from crisp_core.datasets.splits import check_particles, n_quarantined, split_by_counts, split_by_lists
from crisp_core.formats.tables import read_table, write_table
from crisp_core.logs import start_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
parts = dict(snakemake.params.split)
names = pd.concat([read_table(path, keep_default_na=False) for path in snakemake.input.names])
labelled = [name for name in names["micrograph"] if name]
unlabelled = set(snakemake.params.micrographs) - set(labelled)
# a part that counts on a quarantined micrograph goes without
refused = read_quarantine(*snakemake.input.prepare, *snakemake.input.coordinates)
n_refused = n_quarantined(unlabelled, names, refused)
if isinstance(parts["train"], list):
    table = split_by_lists(labelled, **parts | {"test": []}, unlabelled=unlabelled, n_refused=n_refused)
else:
    table = split_by_counts(labelled, **parts, seed=snakemake.params.seed, n_refused=n_refused)
n_coordinates = names.groupby("micrograph")["n_coordinates"].sum().to_dict()
check_particles(table, n_coordinates, source=f"datasets/{snakemake.wildcards.dataset}")
write_table(table, snakemake.output.split)
log.info("%s", ", ".join(f"{n} {part}" for part, n in table["part"].value_counts().items()))
