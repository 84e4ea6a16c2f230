"""Rule import_ctf: CTF and optics groups of a batch, from its lines in the user's file; quarantine of those without."""

from typing import TYPE_CHECKING

import pandas as pd

from crisp_core.datasets.importing_ctf import without_ctf
from crisp_core.datasets.quarantine import write_quarantine
from crisp_core.formats.arrays import array_names
from crisp_core.formats.relion_ctf import MicrographsCtf, write_micrographs_ctf
from crisp_core.logs import start_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
params = snakemake.params
ctf = MicrographsCtf(**{name: pd.DataFrame(columns) for name, columns in params.ctf.items()})
usable = {name: params.micrographs[name] for name in array_names(snakemake.input.images, "image")}
refused = without_ctf(usable, ctf, params.refused, source=params.file)
for path, _, reason in refused:
    log.warning("no CTF of %s: %s", path, reason)
write_micrographs_ctf(snakemake.output.ctf, ctf, params.star_paths, pixel_size=params.dataset["pixel_size"])
write_quarantine(snakemake.output.quarantine, refused)
log.info("CTF of %d micrographs, %d optics groups", len(ctf.micrographs), len(ctf.groups))
