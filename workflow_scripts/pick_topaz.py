"""Rule pick_topaz: what a detector of Topaz finds on a batch."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from crisp_core.datasets.quarantine import refused_micrographs, write_quarantine
from crisp_core.formats.arrays import array_names, read_array
from crisp_core.formats.star import write_coordinates_star
from crisp_core.logs import start_log
from crisp_core.pickers import topaz

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
path, params = snakemake.input.images, snakemake.params
images = ((name, read_array(path, "image", name)) for name in array_names(path, "image"))
with tempfile.TemporaryDirectory(prefix="topaz-", dir=Path(snakemake.output.found).parent) as folder:
    found, failed = topaz.pick(
        images,
        folder=folder,
        detector=Path(*snakemake.input.detector).absolute() if snakemake.input.detector else params.picker["model"],
        diameter_angstrom=params.dataset["diameter_angstrom"],
        settings=params.picker,
        threads=snakemake.threads,
        gpus=snakemake.resources.gpu,
    )
for reason in failed.values():
    log.warning("quarantined %s", reason)
write_coordinates_star(snakemake.output.found, found)
write_quarantine(snakemake.output.quarantine, refused_micrographs(failed, params.micrographs, stage="pick"))
log.info("%d candidates", len(found))
