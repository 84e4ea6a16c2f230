"""Rule predict: particle probability of every micrograph of a batch; quarantine of those that have none."""

import time
from typing import TYPE_CHECKING

import h5py
import numpy as np

from crisp_core.classes import CLASSES, PARTICLE, channel, file_label
from crisp_core.datasets.quarantine import refused_micrographs, write_quarantine
from crisp_core.formats.arrays import array_names, read_array, write_array
from crisp_core.logs import start_log
from crisp_core.preparation.settings import PreparationSettings
from crisp_core.segmentation.checkpoints import check_input, network_input
from crisp_core.segmentation.devices import start_torch
from crisp_core.segmentation.inference import predict
from crisp_core.segmentation.networks import load_network

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
device = start_torch(threads=snakemake.threads, gpus=snakemake.resources.gpu)
trained = load_network(snakemake.input.network, device=device)
classes = trained.facts.classes
diameter_angstrom = snakemake.params.dataset["diameter_angstrom"]
given = network_input(PreparationSettings.of(snakemake.params.preparation), diameter_angstrom)
check_input(trained.facts.input, given, path=snakemake.input.network, diameter_angstrom=diameter_angstrom)

names, refused = array_names(snakemake.input.images, "image"), {}
with h5py.File(snakemake.output.probability, "w") as output:
    for i, name in enumerate(names, start=1):
        start = time.perf_counter()
        image = read_array(snakemake.input.images, "image", name)
        probability = predict(trained.network, image.data, device=device, **snakemake.params.prediction)
        if not np.isfinite(probability).all():
            refused[name] = (
                f"{name}: {snakemake.input.network} gives it no finite probability, so it has no picks; look at its "
                "image, and if others have none either, train with a lower training/learning_rate"
            )
            log.warning("quarantined %s", refused[name])
            continue
        grid = {"pixel_size": image.pixel_size, "full_shape": image.full_shape}
        write_array(
            output, "probability", name, probability[channel(classes, CLASSES[PARTICLE])].astype(np.float16), **grid
        )
        if len(classes) > 2:
            write_array(output, "class", name, file_label(probability.argmax(axis=0), classes), **grid)
        log.info("predicted %d of %d, %s, %.1f s", i, len(names), name, time.perf_counter() - start)
write_quarantine(
    snakemake.output.quarantine, refused_micrographs(refused, snakemake.params.shown_paths, stage="predict")
)
