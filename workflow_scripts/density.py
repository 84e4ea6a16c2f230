"""Rule density: the density that a dataset's simulation projects, at the pixel size of its micrographs."""

from typing import TYPE_CHECKING

import numpy as np

from crisp_core.formats.mrc import write_mrc
from crisp_core.formats.settings import DownloadSettings
from crisp_core.logs import start_log
from crisp_core.simulation.volumes import phantom, read_density

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
params = snakemake.params
settings, pixel_size = params.simulation, params.dataset["pixel_size"]
if settings["volume"] is None:
    density = phantom(params.dataset["diameter_px"], seed=params.seed)
else:
    density = read_density(
        settings["volume"],
        pixel_size=pixel_size,
        volume_pixel_size=settings["volume_pixel_size"],
        resolution_angstrom=settings["model_resolution_angstrom"],
        # no parameter of the rule, since another mirror or folder should rerun nothing
        downloads=DownloadSettings.of(snakemake.config["downloads"]),
    )
write_mrc(snakemake.output.density, density, pixel_size=pixel_size, dtype=np.float32)
log.info("%s: a cube of %d voxels of %g Å", settings["volume"] or "phantom", len(density), pixel_size)
