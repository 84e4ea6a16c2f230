"""Rule join_particles: the batches' particles in one star file, which cryoSPARC's import would take."""

from typing import TYPE_CHECKING

from crisp_core.formats.cryosparc import check_import
from crisp_core.formats.relion_particles import joined_particles, write_particles_star
from crisp_core.formats.star import read_blocks
from crisp_core.logs import start_log
from crisp_core.picking.cleaning import rank_particles

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
batches = [read_blocks(path) for path in snakemake.input.particles]
optics, particles = joined_particles(batches)
particles = rank_particles(particles, snakemake.params.rank)
write_particles_star(snakemake.output.particles, optics, particles)
check_import(snakemake.output.particles)
log.info("%d particles in %s", len(particles), snakemake.output.particles)
