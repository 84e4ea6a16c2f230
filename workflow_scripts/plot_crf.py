"""Rule plot_crf: logits, message and result of a CRF on part of a test micrograph."""

from typing import TYPE_CHECKING

from crisp_core.figures.crf import draw_crf
from crisp_core.figures.style import save_figure
from crisp_core.formats.arrays import array_names, read_array
from crisp_core.formats.tables import read_table
from crisp_core.geometry import angstrom_to_px
from crisp_core.logs import start_log
from crisp_core.segmentation.finetuning import crf_steps
from crisp_core.segmentation.networks import load_network

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

SIDE_PX = 256

log = start_log(snakemake.log[0])
split = read_table(snakemake.input.split)
# a split may have no test part
ranked = split.sort_values("part", key=lambda part: part.map({"test": 0, "validation": 1, "train": 2}), kind="stable")
name = ranked["micrograph"].iloc[0]
path = next(path for path in snakemake.input.images if name in array_names(path, "image"))
image = read_array(path, "image", name)
steps = crf_steps(load_network(snakemake.input.network).network, image.data, side_px=SIDE_PX)
log.info("drew the square at row %d, column %d of %s, where the CRF changes most", *steps.corner, name)
y, x = steps.corner
height, width = steps.after.shape
panels = {
    "network: log odds of particle": steps.logit,
    "first message of the neighbours": steps.message,
    "probability before": steps.before,
    "probability after": steps.after,
    "after − before": steps.after - steps.before,
}
diameter_px = angstrom_to_px(snakemake.params.dataset["diameter_angstrom"], image.pixel_size)
title = f"{snakemake.wildcards.network}: {name}, where the CRF changes most"
square = image.data[y : y + height, x : x + width]
save_figure(
    draw_crf(square, panels, diameter_px=diameter_px, pixel_size=image.pixel_size, title=title), snakemake.output[0]
)
