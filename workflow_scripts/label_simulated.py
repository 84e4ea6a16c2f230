"""Rule label_simulated: threshold the particles of simulated micrographs, add contaminants and carbon.

A micrograph without a threshold is in quarantine.
"""

from typing import TYPE_CHECKING

import h5py

from crisp_core.classes import PARTICLE
from crisp_core.datasets.quarantine import refused_micrographs, write_quarantine
from crisp_core.errors import UserError
from crisp_core.formats.arrays import array_grids, array_names, read_array, write_array
from crisp_core.geometry import angstrom_to_px
from crisp_core.labels.pixel_classes import add_scenery_classes, sample_classes
from crisp_core.labels.thresholds import local_window_px, threshold_label
from crisp_core.logs import start_log
from crisp_core.preparation.normalization import fourier_resample

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
simulation = snakemake.input.simulation
with_classes, with_truth, refused = *(set(array_names(simulation, kind)) for kind in ("scenery", "truth")), {}
with h5py.File(snakemake.output.labels, "w") as output:
    for name, grid in array_grids(snakemake.input.images, "image").items():
        if name in with_truth:
            label = sample_classes(read_array(simulation, "truth", name).data, grid.shape)
            write_array(output, "label", name, label, pixel_size=grid.pixel_size, full_shape=grid.full_shape)
            continue
        particles = fourier_resample(read_array(simulation, "ctf_free", name).data, grid.shape)
        window_px = local_window_px(angstrom_to_px(snakemake.params.dataset["diameter_angstrom"], grid.pixel_size))
        try:
            label = threshold_label(particles, method=snakemake.params.threshold, window_px=window_px)
        except UserError as error:
            refused[name] = f"{name}: has no label; {error}"
            log.warning("quarantined %s", refused[name])
            continue
        if name in with_classes:
            label = add_scenery_classes(label, read_array(simulation, "scenery", name).data)
        write_array(output, "label", name, label, pixel_size=grid.pixel_size, full_shape=grid.full_shape)
        log.info("labelled %s, %.1f %% particle", name, 100 * (label == PARTICLE).mean())
write_quarantine(snakemake.output.quarantine, refused_micrographs(refused, snakemake.params.micrographs, stage="label"))
