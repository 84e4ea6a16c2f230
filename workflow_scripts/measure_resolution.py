"""Rule measure_resolution: FSC curves and resolutions of all sets and seeds, with one mask for all."""

import shutil
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from crisp_core.evaluation.fsc import half_map_curves, random_phases, resolution_table, soft_mask
from crisp_core.evaluation.particle_sets import PICKS, TRUE
from crisp_core.formats.mrc import write_mrc
from crisp_core.formats.tables import write_table
from crisp_core.formats.volumes import read_volume
from crisp_core.logs import start_log
from crisp_core.reconstruction.half_maps import program_of_halves
from crisp_core.reconstruction.stacks import read_mask, read_particles

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
settings, names = snakemake.params.resolution, list(snakemake.params.sets)
runs = list(product(names, settings["seeds"]))
maps = dict(zip(runs, zip(*[iter(snakemake.input.maps)] * 2, strict=True), strict=True))
program = program_of_halves(snakemake.input.maps)
first, pixel_size = read_volume(maps[runs[0]][0])
if snakemake.input.mask:
    mask = read_mask(snakemake.input.mask[0], pixel_size=pixel_size, size_px=len(first))
else:
    options = {key.removeprefix("mask_"): value for key, value in settings.items() if key.startswith("mask_")}
    merged = (first + read_volume(maps[runs[0]][1]).density) / 2
    mask = soft_mask(merged, pixel_size=pixel_size, **options)
write_mrc(snakemake.output.mask, mask, pixel_size=pixel_size, dtype=np.float32)

curves, sets = [], []
for name, seed in runs:
    halves = [read_volume(path).density for path in maps[name, seed]]
    rng = np.random.default_rng(seed)
    phases = tuple(random_phases(len(mask), rng) for _ in halves)
    curve = half_map_curves(*halves, mask, pixel_size=pixel_size, phases=phases)
    curves.append(curve.assign(set=name, seed=seed))
    _, particles = read_particles([Path(snakemake.input.particles) / f"{name}-{seed}.star"])
    # of refinements, nobody knows which particles are true; a simulation ignores them
    false_share = np.nan if set(names) <= set(settings["refined"]) else 1 - particles[TRUE].mean()
    sets.append((name, seed, len(particles), false_share))
table = pd.concat(curves, ignore_index=True)
table = table[["set", "seed", *table.columns.drop(["set", "seed"])]]
resolution = resolution_table(table, pd.DataFrame(sets, columns=["set", "seed", "n_particles", "false_share"])).assign(
    program=program
)
write_table(table, snakemake.output.fsc, digits=6)
write_table(resolution, snakemake.output.resolution, digits=6)
own = PICKS if PICKS in names else names[0]
for path, output in zip(maps[own, settings["seeds"][0]], (snakemake.output.half1, snakemake.output.half2), strict=True):
    shutil.copyfile(path, output)
for row in resolution[resolution["seed"] == "mean"].itertuples():
    log.info("%s: %.2f Å", row.set, row.resolution_angstrom)
