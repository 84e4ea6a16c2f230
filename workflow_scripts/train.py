"""Rule train: fit the network to the training micrographs, keep its best epoch."""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import torch

from crisp_core.classes import CLASSES
from crisp_core.crops import labelled_parts
from crisp_core.devices import start_torch
from crisp_core.logs import start_log
from crisp_core.networks import TrainedNetwork, build_network, n_parameters, save_network
from crisp_core.resuming import Resume, forget_run, training_digest
from crisp_core.training import fit

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
params = snakemake.params
experiment = snakemake.config["experiments"][snakemake.wildcards.experiment]
torch.manual_seed(params.seed)
device = start_torch(threads=snakemake.threads, gpus=snakemake.resources.gpu)

split = pd.read_csv(snakemake.input.split, sep="\t", dtype=str)
parts = labelled_parts(split, snakemake.input.images, snakemake.input.labels)
classes = list(CLASSES[: params.network["classes"]])
network = build_network(params.network, len(classes))
log.info(
    "%s with %s, %.2f M parameters, on %s",
    *(params.network["architecture"], params.network["encoder"], n_parameters(network) / 1e6, device),
)
resume = Resume(Path(params.resume), training_digest(parts, dict(params.items())))
state, history = fit(
    network,
    parts.get("train", [])[: params.training["n_micrographs"]],
    parts.get("validation", []),
    settings=experiment["training"],
    prediction=experiment["prediction"],
    n_classes=len(classes),
    device=device,
    seed=params.seed,
    resume=resume,
)
trained = TrainedNetwork(network, params.network, params.preparation, classes)
save_network(snakemake.output.network, trained, state=state)
pd.DataFrame(history).to_csv(snakemake.output.history, sep="\t", index=False, float_format="%.6g")
forget_run(resume)
