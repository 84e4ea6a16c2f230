"""Rule set_centers: finder and threshold of the config, where there is no validation part to choose them on."""

from typing import TYPE_CHECKING

import yaml

from crisp_core.logs import start_log
from crisp_core.picking.search import given_settings

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
params = snakemake.params
chosen = {"network": params.network} | given_settings(params.finder, params.threshold)
with open(snakemake.output.centers, "w") as file:
    yaml.safe_dump(chosen, file, sort_keys=False)
log.info("%s, threshold %.3f, as the config says", chosen["finder"]["name"], chosen["threshold"])
