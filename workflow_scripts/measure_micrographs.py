"""Rule measure_micrographs: measures of every micrograph of a batch: its image, its classes and its picks."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from crisp_core.evaluation.curation import MEASURES, measure_micrograph
from crisp_core.evaluation.image_quality import ice_ring_of_file
from crisp_core.formats.arrays import array_grids, array_names, read_array
from crisp_core.formats.relion_coordinates import read_coordinates_star
from crisp_core.formats.tables import write_table
from crisp_core.logs import start_log
from crisp_core.segmentation.checkpoints import read_facts

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
images, maps = snakemake.input.images, snakemake.input.probability
picks, classes = read_coordinates_star(snakemake.input.picks), read_facts(snakemake.input.network).classes
classified, rows = set(array_names(maps, "class")), []
dataset, paths, ctf = snakemake.params.dataset, snakemake.params.micrographs, snakemake.params.ctf
for name, grid in array_grids(maps, "probability").items():
    particle = read_array(maps, "probability", name).data >= 0.5
    label = read_array(maps, "class", name).data if name in classified else particle.astype(np.uint8)
    measures = measure_micrograph(
        read_array(images, "image", name).data,
        read_array(images, "valid", name).data,
        label,
        picks[picks["micrograph"] == name],
        classes=classes,
        grid=grid,
        diameter_angstrom=dataset["diameter_angstrom"],
    )
    measures["ice_ring"] = ice_ring_of_file(paths[name], name, dataset["pixel_size"])
    rows.append({"micrograph": name, **measures, **ctf.get(name, {})})
table = pd.DataFrame(rows, columns=["micrograph", *MEASURES])
write_table(table, snakemake.output[0], digits=5)
log.info("measured %d micrographs", len(rows))
