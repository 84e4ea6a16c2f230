"""Rules pick_with_program and pick_with_program_on_gpu: candidates of another picker on a batch."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from crisp_core.datasets.quarantine import refused_micrographs, write_quarantine
from crisp_core.formats.relion_coordinates import write_coordinates_star
from crisp_core.logs import start_log
from crisp_core.options import chosen
from crisp_core.pickers import PICKERS
from crisp_core.pickers.picker import Batch

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
params = snakemake.params
picker = chosen(PICKERS, params.picker, place="picker", key="program")
with tempfile.TemporaryDirectory(prefix="picking-", dir=Path(snakemake.output.found).parent) as folder:
    found, failed = picker.pick(
        Batch(
            images=snakemake.input.images,
            micrographs=params.micrographs,
            pixel_size=params.dataset["pixel_size"],
            diameter_angstrom=params.dataset["diameter_angstrom"],
            folder=Path(folder),
            detector=Path(*snakemake.input.detector) if snakemake.input.detector else None,
            threads=snakemake.threads,
            gpus=snakemake.resources.get("gpu", 0),
        )
    )
for reason in failed.values():
    log.warning("quarantined %s", reason)
write_coordinates_star(snakemake.output.found, found)
write_quarantine(snakemake.output.quarantine, refused_micrographs(failed, params.shown_paths, stage="pick"))
log.info("%d candidates", len(found))
