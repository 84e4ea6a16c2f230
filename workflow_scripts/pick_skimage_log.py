"""Rule pick_skimage_log: what scikit-image's Laplacian of Gaussian finds on a batch."""

from typing import TYPE_CHECKING

from crisp_core.formats.arrays import array_names, read_array
from crisp_core.formats.star import write_coordinates_star
from crisp_core.geometry import angstrom_to_px, rescaled_xy
from crisp_core.logs import start_log
from crisp_core.pickers.running import joined
from crisp_core.pickers.skimage_log import pick

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
tables = []
for name in array_names(snakemake.input.images, "image"):
    image = read_array(snakemake.input.images, "image", name)
    diameter_px = angstrom_to_px(snakemake.params.dataset["diameter_angstrom"], image.pixel_size)
    found = pick(image.data, diameter_px=diameter_px, settings=snakemake.params.picker)
    found[["x", "y"]] = rescaled_xy(found[["x", "y"]].to_numpy(), image.data.shape, image.full_shape)
    tables.append(found.assign(micrograph=name))
    log.info("%s: %d candidates", name, len(found))
write_coordinates_star(snakemake.output[0], joined(tables))
