"""Rule join_coordinates: the coordinates of all additions to a dataset in one table."""

from typing import TYPE_CHECKING

import pandas as pd

from crisp_core.datasets.coordinate_names import joined_names, unmatched_files
from crisp_core.datasets.importing import import_coordinates
from crisp_core.datasets.quarantine import read_quarantine, write_quarantine
from crisp_core.formats.relion_coordinates import read_coordinates_star, write_coordinates_star
from crisp_core.formats.tables import read_table, write_table
from crisp_core.logs import start_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
tables = [read_coordinates_star(path) for path in snakemake.input.coordinates]
coordinates = pd.concat([table for table in tables if len(table)] or tables[:1], ignore_index=True)
write_coordinates_star(snakemake.output.coordinates, coordinates)
# whether the coordinates are complete is no matter of files that no micrograph claims
settings = {key: value for key, value in snakemake.params.coordinates.items() if key != "complete"}
strangers = import_coordinates(list(snakemake.input.strangers), {}, required=False, **settings)
matched = [read_table(path, keep_default_na=False) for path in snakemake.input.names]
names = joined_names([*matched, strangers.names])
write_table(names, snakemake.output.names)
unmatched_paths = unmatched_files(names, snakemake.params.micrographs)
refused = [*strangers.refused, *read_quarantine(*snakemake.input.quarantine), *unmatched_paths]
# a file of many micrographs is read for every addition
write_quarantine(snakemake.output.quarantine, list(dict.fromkeys(refused)))
unmatched = names.query("micrograph == ''")
log.info("%d coordinates on %d micrographs", len(coordinates), coordinates["micrograph"].nunique())
if len(unmatched):
    log.warning("%d names match no micrograph, see %s", len(unmatched), snakemake.output.names)
