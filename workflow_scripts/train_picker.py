"""Rule train_picker: train the detector of another picker on the training micrographs and their coordinates."""

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from crisp_core.datasets.splits import read_part
from crisp_core.formats.relion_coordinates import read_coordinates_star
from crisp_core.logs import start_log
from crisp_core.options import chosen
from crisp_core.pickers import PICKERS
from crisp_core.pickers.picker import TrainingPart

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
picker = chosen(PICKERS, snakemake.params.picker, place="picker", key="program")
part = TrainingPart(
    images=snakemake.input.images,
    names=set(read_part(snakemake.input.split, "train")),
    coordinates=read_coordinates_star(snakemake.input.coordinates),
    folder=Path(),
    threads=snakemake.threads,
    gpus=snakemake.resources.gpu,
)
with tempfile.TemporaryDirectory(prefix="training-", dir=Path(snakemake.output.detector).parent) as folder:
    trained = picker.train(part._replace(folder=Path(folder)))
    shutil.copy(trained.detector, snakemake.output.detector)
    shutil.copy(trained.history, snakemake.output.history)
log.info("trained on %d micrographs", len(part.names))
