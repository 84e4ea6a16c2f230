"""Rule import_coordinates: the coordinates of an addition as one table, names matched, origin and scale checked."""

from typing import TYPE_CHECKING

from crisp_core.datasets.imported_files import ImportedFiles, write_imported
from crisp_core.datasets.importing import import_checked
from crisp_core.logs import start_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
params, sources = snakemake.params, list(snakemake.input.coordinates)
imported = import_checked(
    sources,
    list(snakemake.input.images),
    diameter_angstrom=params.dataset["diameter_angstrom"],
    source=f"datasets/{snakemake.wildcards.dataset}/coordinates",
    # what is added later is picked, whether it has coordinates or not
    required=snakemake.wildcards.addition == "0",
    **params.coordinates,
)
files = ImportedFiles(**dict(snakemake.output.items()))
scale = params.coordinates.get("scale", 1.0)
write_imported(imported, files, sources=sources, pixel_size=params.dataset["pixel_size"], scale=scale)
labelled = set(imported.names["micrograph"]) - {""}
log.info("%d coordinates on %d micrographs", len(imported.coordinates), len(labelled))
