"""Rule reconstruct_picks: the two half maps of one set of particles."""

from typing import TYPE_CHECKING

from crisp_core.logs import start_log
from crisp_core.reconstruction.half_maps import choose_program, reconstruct_halves
from crisp_core.reconstruction.stacks import read_particles

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
params = snakemake.params
optics, particles = read_particles([params.star])
program = choose_program(params.program)
log.info("%d particles, by %s", len(particles), program)
reconstruct_halves(program, params.star, optics, particles, list(snakemake.output), symmetry=params.symmetry)
