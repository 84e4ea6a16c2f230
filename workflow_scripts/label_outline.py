"""Rule label_outline: outlines of the particles, from their orientations and the map."""

from typing import TYPE_CHECKING

import h5py
import pandas as pd

from crisp_core.formats.arrays import array_grids, write_array
from crisp_core.formats.relion_coordinates import read_coordinates_star
from crisp_core.formats.tables import write_table
from crisp_core.formats.volumes import read_particle_map, read_volume
from crisp_core.labels.outlines import label_arrays, label_particles, outline_density
from crisp_core.labels.posed import check_matched, poses_on_grids, radius_without_pose, read_matched_names
from crisp_core.logs import start_log
from crisp_core.simulation.volumes import resample_volume

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
params, settings = snakemake.params, snakemake.params.labels
volume, mask = (
    resample_volume(*read(paths[0]), params.working_pixel_size) if paths else None
    for read, paths in ((read_particle_map, snakemake.input.map), (read_volume, snakemake.input.mask))
)
threshold, lowpass_angstrom = settings["threshold"], settings["map_lowpass_angstrom"]
density = outline_density(
    volume, mask, pixel_size=params.working_pixel_size, lowpass_angstrom=lowpass_angstrom, threshold=threshold
)
disc_radius_angstrom = radius_without_pose(
    density,
    without_orientation=settings["without_orientation"],
    radius_angstrom=settings["disc_radius_angstrom"],
    pixel_size=params.working_pixel_size,
    threshold=threshold,
)
coordinates, labelled = read_coordinates_star(snakemake.input.coordinates), read_matched_names(snakemake.input.names)
grids = {name: grid for name, grid in array_grids(snakemake.input.images, "image").items() if name in labelled}
coordinates = coordinates[coordinates["micrograph"].isin(grids)]
poses = poses_on_grids(snakemake.input.poses[0], labelled, grids, **params.poses_frame)
unmatched = [pd.DataFrame(columns=["micrograph", "x", "y", "what"])]
with h5py.File(snakemake.output.labels, "w") as output:
    for name, grid in grids.items():
        instances, left = label_particles(
            coordinates[coordinates["micrograph"] == name],
            poses[poses["micrograph"] == name],
            grid,
            density,
            threshold=threshold,
            tolerance_angstrom=params.dataset["diameter_angstrom"] / 8,
            disc_radius_angstrom=disc_radius_angstrom,
        )
        for kind, array in label_arrays(instances, with_instances=settings["instances"]).items():
            write_array(output, kind, name, array, pixel_size=grid.pixel_size, full_shape=grid.full_shape)
        unmatched += [left] if len(left) else []
        log.info("labelled %s, %d particles", name, (coordinates["micrograph"] == name).sum())
table = pd.concat(unmatched[1:] or unmatched, ignore_index=True)
write_table(table, snakemake.output.unmatched)
files = {"path": snakemake.input.poses[0], "table": snakemake.output.unmatched}
check_matched(table, coordinates["micrograph"], poses["micrograph"], **files)
