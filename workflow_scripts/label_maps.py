"""Rule label_maps: the label of every micrograph as MRC (mode 0, int8)."""

from pathlib import Path
from typing import TYPE_CHECKING

from crisp_core.formats.arrays import array_names, read_array
from crisp_core.formats.mrc import write_mrc
from crisp_core.labels.pixel_classes import signed_label
from crisp_core.logs import start_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
folder = Path(snakemake.output[0])
folder.mkdir()
for labels, images in zip(snakemake.input.labels, snakemake.input.images, strict=True):
    for name in array_names(labels, "label"):
        label, valid = read_array(labels, "label", name), read_array(images, "valid", name)
        write_mrc(
            folder / f"{name}.mrc", signed_label(label.data, valid.data), pixel_size=label.pixel_size, dtype="int8"
        )
log.info("%d labels in %s", len(list(folder.iterdir())), folder)
