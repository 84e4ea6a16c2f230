"""Rule train_topaz: a detector of Topaz from the training micrographs and their coordinates."""

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from crisp_core.formats.arrays import array_names, read_array
from crisp_core.formats.star import read_coordinates_star
from crisp_core.logs import start_log
from crisp_core.pickers import topaz

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
split = pd.read_csv(snakemake.input.split, sep="\t", dtype=str)
training = set(split.loc[split["part"] == "train", "micrograph"])
images = (
    (name, read_array(path, "image", name))
    for path in snakemake.input.images
    for name in array_names(path, "image")
    if name in training
)
with tempfile.TemporaryDirectory(prefix="topaz-", dir=Path(snakemake.output.detector).parent) as folder:
    detector = topaz.train(
        images,
        read_coordinates_star(snakemake.input.coordinates),
        folder=folder,
        settings=snakemake.params.picker,
        threads=snakemake.threads,
        gpus=snakemake.resources.gpu,
    )
    shutil.copy(detector, snakemake.output.detector)
    shutil.copy(Path(folder) / "curve.txt", snakemake.output.history)
log.info("trained on %d micrographs", len(training))
