"""Rule simulate: noisy and clean micrographs of a batch, with the positions and angles of their particles."""

import time
from typing import TYPE_CHECKING

import h5py
import pandas as pd

from crisp_core.arrays import write_array
from crisp_core.geometry import angstrom_to_px
from crisp_core.logs import start_log
from crisp_core.micrographs import read_volume
from crisp_core.simulation import simulate_micrograph
from crisp_core.star import write_coordinates_star
from crisp_core.volumes import phantom, resampled_volume

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
settings, optics = dict(snakemake.params.simulation), dict(snakemake.params.dataset)
pixel_size = optics.pop("pixel_size")
diameter_angstrom = optics.pop("particle_diameter_angstrom")
for key in ("n_micrographs", "volume", "threshold"):
    del settings[key]
if snakemake.input.volume:
    volume = resampled_volume(*read_volume(snakemake.input.volume[0]), pixel_size)
else:
    volume = phantom(angstrom_to_px(diameter_angstrom, pixel_size), seed=snakemake.params.seed)

tables = []
with h5py.File(snakemake.output.images, "w") as output:
    for i, name in enumerate(snakemake.params.micrographs, start=1):
        start = time.perf_counter()
        simulated = simulate_micrograph(
            volume,
            name=name,
            seed=snakemake.params.seed,
            shape=tuple(settings["shape_px"]),
            pixel_size=pixel_size,
            margin_angstrom=diameter_angstrom / 2,
            optics=optics,
            **{key: value for key, value in settings.items() if key != "shape_px"},
        )
        grid = {"pixel_size": pixel_size, "full_shape": simulated.image.shape}
        for kind in ("image", "clean", "ctf_free"):
            write_array(output, kind, name, getattr(simulated, kind), **grid)
        tables.append(simulated.coordinates)
        log.info(
            "simulated %d of %d, %s, %d particles, %.1f s",
            *(i, len(snakemake.params.micrographs), name, len(tables[-1]), time.perf_counter() - start),
        )
write_coordinates_star(snakemake.output.coordinates, pd.concat(tables, ignore_index=True))
