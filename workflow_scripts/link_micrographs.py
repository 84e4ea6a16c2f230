"""Rule link_micrographs: every micrograph under a path by which RELION finds the pixels that were picked."""

from pathlib import Path
from typing import TYPE_CHECKING

from crisp_core.datasets.exported import export_mrc, linkable
from crisp_core.errors import UserError
from crisp_core.formats.tables import read_table
from crisp_core.logs import start_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
micrographs = read_table(snakemake.input.micrographs)
converted = {path.name: path for given in snakemake.input.converted for path in Path(given).iterdir()}
folder = Path(snakemake.output[0])
folder.mkdir()
for row in micrographs.itertuples():
    target = folder / Path(row.star_path).name
    try:
        if target.name in converted:
            target.symlink_to(Path("..") / converted[target.name].relative_to(folder.parent))
        elif linkable(row.path):
            target.symlink_to(Path(row.path).resolve())
        else:
            export_mrc(row.path, target, name=row.micrograph, pixel_size=snakemake.params.dataset["pixel_size"])
    except UserError as error:
        log.warning("left out of %s: %s", folder, error)
log.info("%d micrographs in %s", len(micrographs), folder)
