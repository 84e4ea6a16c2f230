"""Rule import_corrections: the corrected particles of an addition, in the form of imported coordinates."""

from typing import TYPE_CHECKING

from crisp_core.datasets.corrections import check_shapes, corrected_coordinates, read_merged, unchanged
from crisp_core.datasets.quarantine import write_quarantine
from crisp_core.formats.arrays import array_grids
from crisp_core.formats.relion_coordinates import write_coordinates_star
from crisp_core.formats.tables import write_table
from crisp_core.logs import start_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
params, dataset = snakemake.params, snakemake.wildcards.dataset
# the rule says why the files are no parameter
files = snakemake.config["datasets"][dataset]["corrections"]["files"]
merged = read_merged(files, diameter_angstrom=params.dataset["diameter_angstrom"])
grids = {name: grid for path in snakemake.input.images for name, grid in array_grids(path, "image").items()}
corrected = {name: one for name, one in unchanged(merged, params.digests).items() if name in grids}
check_shapes(
    corrected, {name: grid.full_shape for name, grid in grids.items()}, place=f"datasets/{dataset}/corrections"
)
coordinates, names = corrected_coordinates(corrected)
write_coordinates_star(snakemake.output.coordinates, coordinates)
write_table(names, snakemake.output.names)
write_quarantine(snakemake.output.quarantine, [])
write_table({"notice": params.notices}, snakemake.output.notices)
log.info("%d particles on %d corrected micrographs", len(coordinates), len(corrected))
