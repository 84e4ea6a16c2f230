"""Rule join_particles: the batches' particles in one star file."""

from typing import TYPE_CHECKING

import pandas as pd

from crisp_core.logs import start_log
from crisp_core.star import read_blocks, write_particles_star

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
batches = [read_blocks(path) for path in snakemake.input.particles]
particles = pd.concat([blocks["particles"] for blocks in batches], ignore_index=True)
# all batches of a dataset share one microscope and one box, hence one optics group
write_particles_star(snakemake.output.particles, batches[0]["optics"], particles)
log.info("%d particles in %s", len(particles), snakemake.output.particles)
