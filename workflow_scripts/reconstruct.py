"""Rule reconstruct: an orientation for every particle of a dataset, and the map that the orientations refer to."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from crisp_core.formats.mrc import write_mrc
from crisp_core.formats.relion_particles import write_particles_star
from crisp_core.formats.volumes import read_particle_map
from crisp_core.logs import start_log
from crisp_core.reconstruction.engines import find_orientations
from crisp_core.reconstruction.stacks import read_particles, volume_in_box

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
settings, source = dict(snakemake.params.reconstruction), snakemake.params.source
diameter_angstrom = snakemake.params.dataset["diameter_angstrom"]
optics, particles = read_particles(snakemake.input.particles)
pixel_size, size_px = float(optics["rlnImagePixelSize"].iloc[0]), int(optics["rlnImageSize"].iloc[0])
volume = None
if snakemake.input.map:
    volume = volume_in_box(*read_particle_map(snakemake.input.map[0]), pixel_size, size_px)
log.info("%d particles of %d px at %.2f Å/px, by %s", len(particles), size_px, pixel_size, source)
# beside the results, since RELION follows relative paths only
with tempfile.TemporaryDirectory(prefix=f"{source}-", dir=Path(snakemake.output.poses).parent) as folder:
    particles, volume = find_orientations(
        source,
        optics,
        particles,
        volume,
        folder=folder,
        diameter_angstrom=diameter_angstrom,
        symmetry=settings["symmetry"],
        lowpass_angstrom=settings["initial_lowpass_angstrom"],
        shift_range_angstrom=settings["shift_range_angstrom"] or diameter_angstrom / 6,
        iterations=settings["iterations"],
        n_class_averages=settings["class_averages"],
        threads=snakemake.threads,
        seed=snakemake.params.seed,
    )
write_particles_star(snakemake.output.poses, optics, particles)
write_mrc(snakemake.output.map, volume, pixel_size=pixel_size, dtype=np.float32)
