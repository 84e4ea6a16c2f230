"""Rule train: fit a network to the training micrographs of its datasets, keep its best epoch."""

from pathlib import Path
from typing import TYPE_CHECKING

from crisp_core.formats.tables import write_table
from crisp_core.plan.sections import network_settings
from crisp_core.preparation.settings import PreparationSettings
from crisp_core.segmentation.checkpoints import NetworkFacts, network_input
from crisp_core.segmentation.networks import TrainedNetwork, n_parameters, save_network
from crisp_core.segmentation.parallel import end_other_workers, start_workers
from crisp_core.segmentation.resuming import Resume, forget_run, training_digest
from crisp_core.segmentation.settings import NetworkSettings, PredictionSettings
from crisp_core.segmentation.shipped import sha256
from crisp_core.segmentation.starting import start_training
from crisp_core.segmentation.starts import unlabelled_classes
from crisp_core.segmentation.training import fit
from crisp_core.segmentation.training_settings import TrainingSettings
from crisp_core.segmentation.transfer import begin

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_workers(snakemake.log[0], gpus=snakemake.resources.gpu)
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
chosen, start = NetworkSettings.of(params.network), next(iter(snakemake.input.start), None)
network, classes, training = begin(chosen, TrainingSettings.of(settings["training"]), start)
log.info(
    "%s with encoder %s, %.2f million parameters; start: %s; device: %s",
    *(chosen.architecture, chosen.encoder, n_parameters(network) / 1e6, start or "random weights", device),
)
source = params.start and {**params.start, "sha256": sha256(Path(start))}
resume = Resume(Path(params.resume), training_digest(parts, {**dict(params.items()), "start": source}))
state, history = fit(
    network,
    parts["train"],
    parts["validation"],
    settings=training,
    prediction=PredictionSettings.of(settings["prediction"]),
    classes=classes,
    unlabelled=unlabelled_classes(classes, params.labelled),
    **{"device": device, "seed": params.seed, "resume": resume},
)
end_other_workers()
first = next(iter(params.datasets.values()))
seen = network_input(PreparationSettings.of(first["preparation"]), first["diameter_angstrom"])
facts = NetworkFacts(classes, seen, chosen.changed(classes=classes), start=source)
save_network(snakemake.output.network, TrainedNetwork(network, facts), state=state)
write_table(history, snakemake.output.history, digits=6)
forget_run(resume)
