"""Rule set_centers: finder and threshold of the config or the shipped network, without a validation part."""

from typing import TYPE_CHECKING

import yaml

from crisp_core.logs import start_log
from crisp_core.picking.search import given_settings

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
params, centers = snakemake.params, dict(snakemake.params.centers)
chosen = {
    "network": params.network,
    **params.shipped,
    **given_settings(centers.pop("finder"), centers.pop("threshold")),
}
with open(snakemake.output.centers, "w") as file:
    yaml.safe_dump(chosen | centers, file, sort_keys=False)
log.info("%s, threshold %.3f, given in advance", chosen["finder"]["name"], chosen["threshold"])
