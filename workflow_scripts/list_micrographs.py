"""Rule list_micrographs: table of the micrographs that could be read."""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from crisp_core.arrays import array_grids
from crisp_core.logs import start_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
paths = snakemake.params.micrographs
rows = []
for images in snakemake.input.images:
    for name, grid in array_grids(images, "image").items():
        # simulated micrographs are exported as MRC, others linked under their own file name
        file = f"{name}.mrc" if paths[name].endswith(".h5") else Path(paths[name]).name
        star_path = f"results/{snakemake.wildcards.dataset}/micrographs/{file}"
        rows.append((name, paths[name], star_path, *grid.full_shape, grid.pixel_size))
columns = ["micrograph", "path", "star_path", "height", "width", "working_pixel_size"]
pd.DataFrame(rows, columns=columns).to_csv(snakemake.output.micrographs, sep="\t", index=False)
log.info("%d of %d micrographs can be used", len(rows), len(paths))
