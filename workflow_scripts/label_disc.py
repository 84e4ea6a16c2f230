"""Rule label_disc: discs around the given coordinates."""

from typing import TYPE_CHECKING

import h5py

from crisp_core.formats.arrays import array_grids, write_array
from crisp_core.formats.relion_coordinates import read_coordinates_star
from crisp_core.formats.tables import read_table, write_table
from crisp_core.geometry import angstrom_to_px, rescaled_xy
from crisp_core.labels.outlines import disc_outlines, label_arrays, merge_outlines
from crisp_core.logs import start_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
coordinates = read_coordinates_star(snakemake.input.coordinates)
counts = []
labelled = set(read_table(snakemake.input.names)["micrograph"])
with h5py.File(snakemake.output.labels, "w") as output:
    for name, grid in array_grids(snakemake.input.images, "image").items():
        if name not in labelled:
            continue
        xy = coordinates.loc[coordinates["micrograph"] == name, ["x", "y"]].to_numpy()
        xy = rescaled_xy(xy, grid.full_shape, grid.shape)
        radius_px = angstrom_to_px(snakemake.params.radius_angstrom, grid.pixel_size)
        instances = merge_outlines(grid.shape, range(1, len(xy) + 1), disc_outlines(xy, radius_px=radius_px))
        for kind, array in label_arrays(instances, with_instances=snakemake.params.instances).items():
            write_array(output, kind, name, array, pixel_size=grid.pixel_size, full_shape=grid.full_shape)
        counts.append((name, len(xy)))
        log.info("labelled %s, %d discs", *counts[-1])
write_table(counts, snakemake.output.counts, columns=["micrograph", "n_particles"])
