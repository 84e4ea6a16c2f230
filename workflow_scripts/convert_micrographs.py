"""Rule convert_micrographs: micrographs of a batch that RELION would read otherwise, or not at all, as MRC."""

from pathlib import Path
from typing import TYPE_CHECKING

from crisp_core.datasets.exported import export_mrc, exported_name, is_mrc
from crisp_core.errors import UserError
from crisp_core.formats.arrays import array_names
from crisp_core.logs import start_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
params, folder = snakemake.params, Path(snakemake.output[0])
folder.mkdir()
for name in array_names(snakemake.input.images, "image"):
    path = params.micrographs[name]
    if is_mrc(path):
        continue
    try:
        export_mrc(path, folder / exported_name(path), name=name, pixel_size=params.dataset["pixel_size"])
        log.info("converted %s", path)
    except UserError as error:
        log.warning("not converted, so RELION has no file of this micrograph: %s", error)
