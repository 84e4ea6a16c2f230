"""Rule measure_doubt: doubt of a network about every micrograph of a batch, also from the turned image."""

from typing import TYPE_CHECKING

import numpy as np

from crisp_core.classes import CLASSES, PARTICLE, channel
from crisp_core.evaluation.suggestion import DOUBTS, measure_doubt
from crisp_core.formats.arrays import array_names, read_array
from crisp_core.formats.tables import write_table
from crisp_core.logs import start_log
from crisp_core.segmentation.devices import start_torch
from crisp_core.segmentation.inference import predict
from crisp_core.segmentation.networks import load_network

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
device = start_torch(threads=snakemake.threads, gpus=snakemake.resources.gpu)
trained, images, rows = load_network(snakemake.input.network, device=device), snakemake.input.images, []
particle = channel(trained.facts.classes, CLASSES[PARTICLE])
for name in array_names(snakemake.input.probability, "probability"):
    image, valid = (read_array(images, kind, name).data for kind in ("image", "valid"))
    turned = predict(trained.network, np.rot90(image).copy(), device=device, **snakemake.params.prediction)
    probability = read_array(snakemake.input.probability, "probability", name).data
    rows.append({"micrograph": name, **measure_doubt(probability, np.rot90(turned[particle], -1), valid)})
    log.info("%s: uncertainty %.4f, difference of the turned map %.4f", name, *(rows[-1][key] for key in DOUBTS))
write_table(rows, snakemake.output[0], columns=["micrograph", *DOUBTS])
