"""Rule link_micrographs: every micrograph under a path that RELION can follow."""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from crisp_core.logs import start_log
from crisp_core.micrographs import read_micrograph, write_mrc

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
micrographs = pd.read_csv(snakemake.input.micrographs, sep="\t", dtype={"micrograph": str})
folder = Path(snakemake.output[0])
folder.mkdir()
for row in micrographs.itertuples():
    link = folder / Path(row.star_path).name
    if row.path.endswith(".h5"):
        image, pixel_size = read_micrograph(row.path, name=row.micrograph)
        write_mrc(link, image, pixel_size=pixel_size, dtype="float32")
    else:
        link.symlink_to(Path(row.path).resolve())
log.info("%d micrographs in %s", len(micrographs), folder)
