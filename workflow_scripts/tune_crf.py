"""Rule tune_crf: search a CRF for a trained network on the validation part, without training."""

from typing import TYPE_CHECKING

from crisp_core.formats.tables import write_table
from crisp_core.logs import start_log
from crisp_core.segmentation.crops import Uncertain
from crisp_core.segmentation.networks import load_network, save_network
from crisp_core.segmentation.starting import start_training
from crisp_core.segmentation.tuning import tune

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

start_log(snakemake.log[0])
params = snakemake.params
parts, _ = start_training(
    *(snakemake.input.splits, snakemake.input.images, snakemake.input.labels),
    datasets=params.datasets,
    n_train=None,
    seed=params.seed,
    threads=snakemake.threads,
    gpus=0,
)
trained = load_network(snakemake.input.network)
network, rows = tune(
    trained.network,
    parts["validation"],
    classes=trained.facts.classes,
    uncertain=Uncertain(params.training["ignore_band_angstrom"], params.training["ignore_unlabelled_angstrom"]),
    tile_px=params.prediction["tile_px"],
    diameter_px=trained.facts.input.diameter_px,
)
save_network(snakemake.output.network, trained._replace(network=network), state=network.state_dict())
write_table(rows, snakemake.output.table, digits=6)
