"""Rule label_simulated: threshold the clean images of simulated micrographs."""

from typing import TYPE_CHECKING

import h5py

from crisp_core.arrays import array_grids, read_array, write_array
from crisp_core.labels import threshold_label
from crisp_core.logs import start_log
from crisp_core.normalization import fourier_downsample

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
with h5py.File(snakemake.output.labels, "w") as output:
    for name, grid in array_grids(snakemake.input.images, "image").items():
        clean = read_array(snakemake.input.simulation, "ctf_free", name).data
        label = threshold_label(fourier_downsample(clean, grid.shape), method=snakemake.params.threshold)
        write_array(output, "label", name, label, pixel_size=grid.pixel_size, full_shape=grid.full_shape)
        log.info("labelled %s, %.1f %% particle", name, 100 * label.mean())
