"""Rule probability_maps: particle probability (mode 12, float16) and classes (mode 0, int8) of micrographs as MRC."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from crisp_core.evaluation.curation import class_shares
from crisp_core.formats.arrays import array_names, read_array
from crisp_core.formats.mrc import write_mrc
from crisp_core.formats.tables import write_table
from crisp_core.labels.pixel_classes import predicted_label, signed_label
from crisp_core.logs import start_log
from crisp_core.segmentation.checkpoints import read_facts

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
folder, masks = Path(snakemake.output.maps), Path(snakemake.output.classes)
folder.mkdir()
masks.mkdir()
classes, shares = read_facts(snakemake.input.network).classes, []
for path, images in zip(snakemake.input.probability, snakemake.input.images, strict=True):
    for name in array_names(path, "probability"):
        probability = read_array(path, "probability", name)
        label, valid = predicted_label(path, name), read_array(images, "valid", name).data
        sizes = {"pixel_size": probability.pixel_size}
        write_mrc(folder / f"{name}.mrc", probability.data, dtype="float16", **sizes)
        write_mrc(masks / f"{name}.mrc", signed_label(label, valid), dtype="int8", **sizes)
        shares.append({"micrograph": name, **class_shares(label, valid, classes)})
columns = ["micrograph", *class_shares(np.zeros((1, 1), int), np.ones((1, 1), bool), classes)]
write_table(shares, snakemake.output.shares, columns=columns, digits=5)
log.info("maps of %d micrographs in %s and %s", len(shares), folder, masks)
