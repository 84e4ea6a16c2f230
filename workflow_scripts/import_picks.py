"""Rule import_picks: another picker's files as one table, names matched, origin and scale checked."""

from typing import TYPE_CHECKING

from crisp_core.datasets.coordinate_names import unmatched_files
from crisp_core.datasets.imported_files import ImportedFiles, write_imported
from crisp_core.datasets.importing import import_checked
from crisp_core.formats.tables import read_table
from crisp_core.logs import start_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
params, sources = snakemake.params, list(snakemake.input.picks)
micrographs = read_table(snakemake.input.micrographs)
imported = import_checked(
    sources,
    list(snakemake.input.images),
    diameter_angstrom=params.dataset["diameter_angstrom"],
    source=f"experiments/{snakemake.wildcards.experiment}/picker",
    **params.coordinates,
)
imported = imported._replace(refused=[*imported.refused, *unmatched_files(imported.names, params.micrographs)])
files = ImportedFiles(**dict(snakemake.output.items()))
scale = params.coordinates.get("scale", 1.0)
write_imported(imported, files, sources=sources, pixel_size=params.dataset["pixel_size"], scale=scale)
picked = set(imported.names["micrograph"]) - {""}
log.info("%d picks on %d of %d micrographs", len(imported.coordinates), len(picked), len(micrographs))
