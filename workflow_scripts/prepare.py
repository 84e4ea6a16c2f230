"""Rule prepare: read, down-sample, normalise and mask a batch of micrographs; quarantine those that cannot be read."""

import time
from typing import TYPE_CHECKING

import h5py

from crisp_core.datasets.pixel_sizes import check_stated_pixel_size
from crisp_core.datasets.quarantine import Refused, write_quarantine
from crisp_core.errors import UserError
from crisp_core.formats.arrays import write_array
from crisp_core.formats.images import check_room, read_micrograph
from crisp_core.formats.star_names import check_name
from crisp_core.logs import start_log
from crisp_core.preparation.normalization import prepare

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
micrographs = snakemake.params.micrographs
refused = []
with h5py.File(snakemake.output.images, "w") as output:
    for i, (name, path) in enumerate(micrographs.items(), start=1):
        start = time.perf_counter()
        try:
            check_name(path, name)
            if name == "all":
                raise UserError(f"{path}: all is the name of a row in the tables of scores; rename the file")
            image, pixel_size = read_micrograph(path, name=name, pixel_size=snakemake.params.dataset["pixel_size"])
            check_stated_pixel_size(path, snakemake.params.header_pixel_size)
            check_room(path, image.shape, diameter_px=snakemake.params.dataset["diameter_px"])
            prepared = prepare(image, pixel_size, **snakemake.params.preparation)
        except UserError as error:
            # the preparation knows an image and no path
            reason = str(error) if path in str(error) else f"{path}: {error}"
            log.warning("quarantined %s: %s", name, reason)
            refused.append(Refused(path, "prepare", reason))
            continue
        grid = {"pixel_size": prepared.pixel_size, "full_shape": image.shape}
        write_array(output, "image", name, prepared.image, **grid)
        write_array(output, "valid", name, prepared.valid, **grid)
        log.info("prepared %d of %d, %s, %.1f s", i, len(micrographs), name, time.perf_counter() - start)
write_quarantine(snakemake.output.quarantine, refused)
