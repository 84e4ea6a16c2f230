"""Rule plot_overlays: picks, outlines and probability on the test micrographs."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from crisp_core.datasets.splits import read_part
from crisp_core.evaluation.matching import flag_matched_rows
from crisp_core.figures.overlays import draw_overlay
from crisp_core.figures.style import save_figure
from crisp_core.formats.arrays import array_grids, array_names, read_array
from crisp_core.formats.coordinates.placing import onto_grids
from crisp_core.formats.relion_coordinates import read_coordinates_star
from crisp_core.geometry import angstrom_to_px
from crisp_core.logs import start_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

# Snakemake's report holds all of them
MOST_OVERLAYS = 20

log = start_log(snakemake.log[0])
test = sorted(read_part(snakemake.input.split, "test"))
if len(test) > MOST_OVERLAYS:
    log.info("drawing the first %d of %d test micrographs", MOST_OVERLAYS, len(test))
test = set(test[:MOST_OVERLAYS])
truth = read_coordinates_star(snakemake.input.coordinates)
folder = Path(snakemake.output[0])
folder.mkdir()
for images, labels, probability, picks_path in zip(
    snakemake.input.images,
    snakemake.input.labels,
    snakemake.input.probability,
    snakemake.input.picks,
    strict=True,
):
    shown = test & set(array_names(labels, "label"))
    grids = {name: grid for name, grid in array_grids(probability, "probability").items() if name in shown}
    picks = onto_grids(read_coordinates_star(picks_path), grids)
    truth_px = onto_grids(truth, grids)
    for name, grid in grids.items():
        diameter_px = angstrom_to_px(snakemake.params.dataset["diameter_angstrom"], grid.pixel_size)
        true, found = flag_matched_rows(
            truth_px[truth_px["micrograph"] == name], picks[picks["micrograph"] == name], diameter_px=diameter_px
        )
        figure = draw_overlay(
            read_array(images, "image", name).data,
            read_array(labels, "label", name).data,
            read_array(probability, "probability", name).data.astype(np.float32),
            found,
            true,
            diameter_px=diameter_px,
            title=name,
            pixel_size=grid.pixel_size,
        )
        save_figure(figure, folder / f"{name}.png")
        log.info("drew %s", name)
