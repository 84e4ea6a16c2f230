"""Rule list_micrographs: table of the micrographs that could be read; with those in quarantine, they are all."""

from typing import TYPE_CHECKING

import pandas as pd

from crisp_core.datasets.pixel_sizes import stated_pixel_size
from crisp_core.datasets.quarantine import check_micrographs, read_quarantine
from crisp_core.formats.arrays import array_grids
from crisp_core.formats.tables import write_table
from crisp_core.logs import start_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
paths, params = snakemake.params.micrographs, snakemake.params
rows = []
for images in snakemake.input.images:
    for name, grid in array_grids(images, "image").items():
        stated = stated_pixel_size(paths[name])
        rows.append((name, paths[name], params.star_paths[name], *grid.full_shape, grid.pixel_size, stated))
columns = ["micrograph", "path", "star_path", "height", "width", "working_pixel_size", "header_pixel_size"]
table = pd.DataFrame(rows, columns=columns)
refused = read_quarantine(*snakemake.input.quarantine)
check_micrographs(paths, table["micrograph"], refused, source=f"results/{snakemake.wildcards.dataset}")
write_table(table, snakemake.output[0])
log.info("%d of %d micrographs can be used", len(table), len(paths))
