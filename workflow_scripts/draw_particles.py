"""Rule draw_particles: the sets whose resolution is compared, one star file per set and seed, all of the same size."""

from pathlib import Path
from typing import TYPE_CHECKING

from crisp_core.evaluation.particle_sets import particle_sets
from crisp_core.formats.relion_particles import write_particles_star
from crisp_core.logs import start_log
from crisp_core.reconstruction.stacks import read_particles

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
params, folder = snakemake.params, Path(snakemake.output.particles)
optics, particles = read_particles(snakemake.input.particles)
folder.mkdir(parents=True, exist_ok=True)
for seed in params.seeds:
    sets = particle_sets(
        particles, params.sets, false_shares=params.false_sets, n_particles=params.n_particles, seed=seed
    )
    for name, table in sets.items():
        write_particles_star(folder / f"{name}-{seed}.star", optics, table)
        log.info("%s, seed %d: %d particles", name, seed, len(table))
