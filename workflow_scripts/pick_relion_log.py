"""Rule pick_relion_log: what RELION's Laplacian-of-Gaussian picker finds on a batch."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from crisp_core.datasets.quarantine import refused_micrographs, write_quarantine
from crisp_core.formats.arrays import array_names
from crisp_core.formats.star import write_coordinates_star
from crisp_core.logs import start_log
from crisp_core.pickers import relion_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
params = snakemake.params
readable = array_names(snakemake.input.images, "image")
with tempfile.TemporaryDirectory(prefix="relion-", dir=Path(snakemake.output.found).parent) as folder:
    found, failed = relion_log.pick(
        {name: params.micrographs[name] for name in readable},
        folder=folder,
        pixel_size=params.dataset["pixel_size"],
        diameter_angstrom=params.dataset["diameter_angstrom"],
        settings=params.picker,
    )
for reason in failed.values():
    log.warning("quarantined %s", reason)
write_coordinates_star(snakemake.output.found, found)
write_quarantine(snakemake.output.quarantine, refused_micrographs(failed, params.micrographs, stage="pick"))
log.info("%d candidates", len(found))
