"""Rule probability_maps: the particle probability of every micrograph as MRC (mode 12, float16)."""

from pathlib import Path
from typing import TYPE_CHECKING

from crisp_core.formats.arrays import array_names, read_array
from crisp_core.formats.mrc import write_mrc
from crisp_core.logs import start_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
folder = Path(snakemake.output[0])
folder.mkdir()
for path in snakemake.input.probability:
    for name in array_names(path, "probability"):
        probability = read_array(path, "probability", name)
        write_mrc(folder / f"{name}.mrc", probability.data, pixel_size=probability.pixel_size, dtype="float16")
log.info("%d probability maps in %s", len(list(folder.iterdir())), folder)
