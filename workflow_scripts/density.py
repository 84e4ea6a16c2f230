"""Rule density: the density that a dataset's simulation projects, at the pixel size of its micrographs."""

from typing import TYPE_CHECKING

import numpy as np

from crisp_core.formats.images import write_mrc
from crisp_core.geometry import angstrom_to_px
from crisp_core.logs import start_log
from crisp_core.simulation.volumes import phantom, read_density

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
params = snakemake.params
if params.volume is None:
    density = phantom(angstrom_to_px(params.diameter_angstrom, params.pixel_size), seed=params.seed)
else:
    density = read_density(
        params.volume,
        pixel_size=params.pixel_size,
        volume_pixel_size=params.volume_pixel_size,
        resolution_angstrom=params.resolution_angstrom,
        # no parameter of the rule, since another mirror or folder is no reason to make everything again
        downloads=snakemake.config["downloads"],
    )
write_mrc(snakemake.output.density, density, pixel_size=params.pixel_size, dtype=np.float32)
log.info("%s: a cube of %d voxels of %g Å", params.volume or "phantom", len(density), params.pixel_size)
