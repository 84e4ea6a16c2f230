"""Rule label_outline: outlines of the particles, from their orientations and the map."""

from typing import TYPE_CHECKING

import h5py
import pandas as pd

from crisp_core.formats.arrays import array_grids, write_array
from crisp_core.formats.coordinates.names import match_names
from crisp_core.formats.poses import read_poses, upside_down
from crisp_core.formats.relion_coordinates import read_coordinates_star
from crisp_core.formats.volumes import read_volume
from crisp_core.labels.outlines import equivalent_radius_px, label_arrays, label_particles, outline_density
from crisp_core.logs import start_log
from crisp_core.simulation.volumes import resample_volume

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
params, settings = snakemake.params, snakemake.params.labels
volume, mask = (
    resample_volume(*read_volume(paths[0]), params.working_pixel_size) if paths else None
    for paths in (snakemake.input.map, snakemake.input.mask)
)
threshold = settings["threshold"]
lowpass_angstrom = settings["map_lowpass_angstrom"]
density = outline_density(
    volume, mask, pixel_size=params.working_pixel_size, lowpass_angstrom=lowpass_angstrom, threshold=threshold
)
disc_radius_angstrom = None
if settings["without_orientation"] == "disc":
    disc_radius_angstrom = settings["disc_radius_angstrom"]
    if disc_radius_angstrom is None:
        disc_radius_angstrom = params.working_pixel_size * equivalent_radius_px(density, threshold=threshold)

coordinates = read_coordinates_star(snakemake.input.coordinates)
names = [pd.read_csv(path, sep="\t", dtype=str)["micrograph"] for path in snakemake.input.names]
labelled = pd.concat(names).dropna().unique()
grids = {name: grid for name, grid in array_grids(snakemake.input.images, "image").items() if name in labelled}
poses = read_poses(snakemake.input.poses[0])
names = match_names(poses["micrograph"].unique(), labelled)
poses["micrograph"] = poses["micrograph"].map(names.set_index("name")["micrograph"])
poses = poses[poses["micrograph"].isin(grids)]
if params.poses_origin == "bottom-left":
    poses = upside_down(poses, {name: grid.full_shape[0] for name, grid in grids.items()})

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
table.to_csv(snakemake.output.unmatched, sep="\t", index=False)
for what, n in table["what"].value_counts().items():
    log.warning("%d × %s, see %s", n, what, snakemake.output.unmatched)
