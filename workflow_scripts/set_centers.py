"""Rule set_centers: finder and threshold of the config or the shipped network, without a validation part."""

from typing import TYPE_CHECKING

from crisp_core.formats.centers import write_centers
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
write_centers(snakemake.output.centers, chosen | centers)
log.info("%s, threshold %.3f, given in advance", chosen["finder"]["name"], chosen["threshold"])
