"""Rule import_coordinates: the coordinates of an addition as one table, names matched, origin and scale checked."""

from typing import TYPE_CHECKING

import pandas as pd

from crisp_core.datasets.coordinate_pixel_sizes import pixel_size_notices
from crisp_core.datasets.importing import import_checked
from crisp_core.datasets.quarantine import write_quarantine
from crisp_core.formats.relion_coordinates import write_coordinates_star
from crisp_core.logs import start_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
# what is added later is picked, whether it has coordinates or not
required = snakemake.wildcards.addition == "0"
imported = import_checked(
    list(snakemake.input.coordinates),
    list(snakemake.input.images),
    diameter_angstrom=snakemake.params.dataset["diameter_angstrom"],
    source=f"datasets/{snakemake.wildcards.dataset}/coordinates",
    required=required,
    **snakemake.params.coordinates,
)
for note in imported.notes:
    log.warning(note)
for path, _, reason in imported.refused:
    log.warning("quarantined %s: %s", path, reason)
labelled = set(imported.names["micrograph"])
write_coordinates_star(snakemake.output.coordinates, imported.coordinates)
imported.names.to_csv(snakemake.output.names, sep="\t", index=False)
notices = pixel_size_notices(
    list(snakemake.input.coordinates),
    pixel_size=snakemake.params.dataset["pixel_size"],
    scale=snakemake.params.coordinates.get("scale", 1.0),
)
pd.DataFrame({"notice": notices}).to_csv(snakemake.output.notices, sep="\t", index=False)
write_quarantine(snakemake.output.quarantine, imported.refused)
log.info("%d coordinates on %d micrographs", len(imported.coordinates), len(labelled - {""}))
