"""Rule import_picks: another picker's files as one table, names matched, origin checked."""

from typing import TYPE_CHECKING

import pandas as pd

from crisp_core.importing import import_coordinates, without_upside_down
from crisp_core.logs import start_log
from crisp_core.quarantine import write_quarantine
from crisp_core.star import write_coordinates_star

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
micrographs = pd.read_csv(snakemake.input.micrographs, sep="\t", dtype={"micrograph": str})
shapes = {row.micrograph: (row.height, row.width) for row in micrographs.itertuples()}
imported = import_coordinates(list(snakemake.input.picks), shapes, **snakemake.params.coordinates)
imported = without_upside_down(
    imported,
    snakemake.input.images,
    diameter_angstrom=snakemake.params.diameter_angstrom,
    source=f"experiments/{snakemake.wildcards.experiment}/picker",
)
for path, _, reason in imported.refused:
    log.warning("quarantined %s: %s", path, reason)
picked = set(imported.names["micrograph"])
write_coordinates_star(snakemake.output.coordinates, imported.coordinates)
imported.names.to_csv(snakemake.output.names, sep="\t", index=False)
write_quarantine(snakemake.output.quarantine, imported.refused)
log.info("%d picks on %d of %d micrographs", len(imported.coordinates), len(picked - {""}), len(shapes))
