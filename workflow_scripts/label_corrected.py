"""Rule label_corrected: discs of the corrected particles, brushed junk, and how often each pixel counts."""

from typing import TYPE_CHECKING

import h5py

from crisp_core.datasets.corrections import read_merged, unchanged
from crisp_core.formats.arrays import array_grids, write_array
from crisp_core.formats.tables import write_table
from crisp_core.labels.corrections import label_corrected
from crisp_core.logs import start_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
params, diameter_angstrom = snakemake.params, snakemake.params.dataset["diameter_angstrom"]
# the rule says why the files are no parameter
files = snakemake.config["datasets"][snakemake.wildcards.dataset]["corrections"]["files"]
corrected = unchanged(read_merged(files, diameter_angstrom=diameter_angstrom), params.digests)
counts = []
with h5py.File(snakemake.output.labels, "w") as output:
    for name, grid in array_grids(snakemake.input.images, "image").items():
        if name not in corrected:
            continue
        labelled = label_corrected(
            *(corrected[name], grid),
            diameter_angstrom=diameter_angstrom,
            disc_radius_angstrom=params.disc_radius_angstrom,
            trusted=params.trusted[name],
            weight=params.weight,
        )
        for kind, array in labelled._asdict().items():
            write_array(output, kind, name, array, pixel_size=grid.pixel_size, full_shape=grid.full_shape)
        counts.append((name, len(corrected[name].particles)))
        log.info("labelled %s, %d particles", *counts[-1])
write_table(counts, snakemake.output.counts, columns=["micrograph", "n_particles"])
