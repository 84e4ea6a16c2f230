"""Rule train_crf: train a network further, with a CRF or as its control without one."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from crisp_core.formats.tables import write_table
from crisp_core.logs import start_log
from crisp_core.plan.sections import network_settings
from crisp_core.segmentation.crf.settings import CrfSettings
from crisp_core.segmentation.finetuning import finetune, with_crf
from crisp_core.segmentation.networks import load_network, save_network
from crisp_core.segmentation.resuming import Resume, forget_run, training_digest
from crisp_core.segmentation.settings import PredictionSettings
from crisp_core.segmentation.starting import start_training
from crisp_core.segmentation.starts import unlabelled_classes
from crisp_core.segmentation.training_settings import TrainingSettings

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
params = snakemake.params
settings = network_settings(snakemake.config, snakemake.wildcards.network)
parts, device = start_training(
    *(snakemake.input.splits, snakemake.input.images, snakemake.input.labels),
    datasets=params.datasets,
    n_train=params.training["n_micrographs"],
    seed=params.seed,
    threads=snakemake.threads,
    gpus=snakemake.resources.gpu,
)
trained = load_network(snakemake.input.network)
crf = CrfSettings.of(params.crf)
training, prediction = TrainingSettings.of(settings["training"]), PredictionSettings.of(settings["prediction"])
network = with_crf(
    *(trained.network, crf, len(trained.facts.classes)),
    diameter_px=trained.facts.input.diameter_px,
    tile_px=prediction.tile_px,
)
log.info("type %s, %d epochs; start: %s; device: %s", crf.type, crf.epochs, snakemake.input.network, device)
start = hashlib.sha256(Path(snakemake.input.network).read_bytes()).hexdigest()
resume = Resume(Path(params.resume), training_digest(parts, dict(params.items()) | {"network": start}))
state, history = finetune(
    network,
    parts,
    crf=crf,
    training=training,
    prediction=prediction,
    classes=trained.facts.classes,
    unlabelled=unlabelled_classes(trained.facts.classes, params.labelled),
    device=device,
    seed=params.seed,
    resume=resume,
)
save_network(snakemake.output.network, trained._replace(network=network), state=state)
write_table(history, snakemake.output.history, digits=6)
forget_run(resume)
