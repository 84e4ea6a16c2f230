"""Rule simulate: noisy and clean micrographs of a batch, with the positions and angles of their particles."""

import time
from typing import TYPE_CHECKING

import h5py
import pandas as pd

from crisp_core.formats.arrays import write_array
from crisp_core.formats.tables import write_table
from crisp_core.formats.volumes import read_volume
from crisp_core.logs import start_log
from crisp_core.simulation.micrograph import simulate_micrograph
from crisp_core.simulation.settings import SimulationSettings
from crisp_core.simulation.truth import write_truth

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
settings, dataset = SimulationSettings.of(snakemake.params.simulation), snakemake.params.dataset
pixel_size, diameter_angstrom = dataset["pixel_size"], dataset["diameter_angstrom"]
volume, tables = read_volume(snakemake.input.density, pixel_size=pixel_size).density, []
with h5py.File(snakemake.output.images, "w") as output:
    for i, name in enumerate(snakemake.params.micrographs, start=1):
        start = time.perf_counter()
        simulated = simulate_micrograph(
            volume,
            name=name,
            seed=snakemake.params.seed,
            shape=(settings.shape_px[0], settings.shape_px[1]),
            pixel_size=pixel_size,
            diameter_angstrom=diameter_angstrom,
            n_particles=settings.n_particles,
            min_distance_angstrom=settings.min_distance_angstrom,
            margin_angstrom=diameter_angstrom / 2 if settings.margin_angstrom is None else settings.margin_angstrom,
            defocus_angstrom=settings.defocus_angstrom,
            snr=settings.snr,
            snr_pixel_size=settings.snr_pixel_size,
            optics=dataset["microscope"],
            scenery=settings.scenery,
        )
        grid = {"pixel_size": pixel_size, "full_shape": simulated.image.shape}
        for kind in ("image", "clean", "ctf_free"):
            write_array(output, kind, name, getattr(simulated, kind), **grid)
        if simulated.scenery is not None:
            write_array(output, "scenery", name, simulated.scenery, **grid)
        tables.append(simulated.coordinates)
        log.info(
            "simulated %d of %d, %s, %d particles, %.1f s",
            *(i, len(snakemake.params.micrographs), name, len(tables[-1]), time.perf_counter() - start),
        )
        # not beside the next one: that would be a gigabyte of a K3's super-resolution frame
        del simulated
drawn = {"micrograph": list(snakemake.params.micrographs), "n_particles": [len(table) for table in tables]}
write_table(drawn, snakemake.output.drawn)
truth = pd.concat(tables, ignore_index=True)
grid = {"pixel_size": pixel_size, "box_px": len(volume)}
write_truth(snakemake.output.coordinates, truth, folder=snakemake.params.folder, **grid, optics=dataset["microscope"])
