"""Rule draw_corrected: which corrected micrographs train and which validate."""

from typing import TYPE_CHECKING

import pandas as pd

from crisp_core.datasets.corrections import split_corrected
from crisp_core.datasets.splits import check_particles
from crisp_core.formats.tables import read_table, write_table
from crisp_core.logs import start_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
params, source = snakemake.params, f"datasets/{snakemake.wildcards.dataset}"
names = pd.concat([read_table(path) for path in snakemake.input.names])
# those that could be read
trusted = {name: params.trusted[name] for name in names["micrograph"]}
lists = {part: params.split[part] for part in ("train", "validation")}
table = split_corrected(trusted, **lists, seed=params.seed, source=f"{source}/corrections")
n_coordinates = dict(zip(names["micrograph"], names["n_coordinates"], strict=True))
check_particles(table, n_coordinates, source=source)
write_table(table, snakemake.output.split)
log.info("%s", ", ".join(f"{n} {part}" for part, n in table["part"].value_counts().items()))
