"""Rule library: the densities of a zoo's volumes, all with the same longest extent in voxels."""

from typing import TYPE_CHECKING

from crisp_core.formats.settings import DownloadSettings
from crisp_core.logs import start_log
from crisp_core.simulation.library import build_library

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
settings = dict(snakemake.params.library)
# the downloads are no parameter of the rule, since another mirror or folder should rerun nothing
built = build_library(
    snakemake.output.library, **settings, downloads=DownloadSettings.of(snakemake.config["downloads"])
)
for i, name in enumerate(built, start=1):
    log.info("volume %s, %d of %d", name, i, len(settings["volumes"]))
