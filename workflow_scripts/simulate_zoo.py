"""Rule simulate_zoo: micrographs of a batch of a zoo, with the classes of their pixels and their particles."""

import time
from typing import TYPE_CHECKING

import h5py
import pandas as pd

from crisp_core.formats.arrays import write_array
from crisp_core.formats.tables import write_table
from crisp_core.logs import start_log
from crisp_core.simulation.library import read_library
from crisp_core.simulation.truth import write_truth
from crisp_core.simulation.zoo_micrograph import simulate_zoo_micrograph
from crisp_core.simulation.zoo_settings import ZooSettings

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
dataset, shape = snakemake.params.dataset, tuple(snakemake.params.simulation["shape_px"])
settings, library = ZooSettings.of(snakemake.params.simulation["zoo"]), read_library(snakemake.input.library)
pixel_size, microscope = dataset["pixel_size"], dataset["microscope"]

tables, drawn = [], []
with h5py.File(snakemake.output.images, "w") as output:
    for i, name in enumerate(snakemake.params.micrographs, start=1):
        start = time.perf_counter()
        simulated = simulate_zoo_micrograph(
            settings,
            library,
            name=name,
            dataset=snakemake.wildcards.dataset,
            seed=snakemake.params.seed,
            shape=shape,
            diameter_px=dataset["diameter_px"],
            pixel_size=pixel_size,
            voltage_kv=microscope["voltage_kv"],
        )
        for kind in ("image", "truth"):
            write_array(output, kind, name, getattr(simulated, kind), pixel_size=pixel_size, full_shape=shape)
        tables.append(simulated.coordinates)
        drawn.append(simulated.drawn)
        log.info(
            "simulated %d of %d, %s of %s, %d particles, %.1f s",
            *(i, len(snakemake.params.micrographs), name, simulated.drawn["volumes"]),
            *(len(tables[-1]), time.perf_counter() - start),
        )
write_table(drawn, snakemake.output.drawn)
grid = {"pixel_size": pixel_size, "box_px": 2 * round(dataset["diameter_px"])}
truth = pd.concat(tables, ignore_index=True)
write_truth(snakemake.output.coordinates, truth, folder=snakemake.params.folder, **grid, optics=microscope)
