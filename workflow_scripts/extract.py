"""Rule extract: particle images of a batch, their star file, and the picks that gave no image."""

from typing import TYPE_CHECKING

import pandas as pd

from crisp_core.datasets.exclusions import read_excluded, without_excluded
from crisp_core.formats.arrays import array_grids
from crisp_core.formats.relion_coordinates import read_coordinates_star
from crisp_core.formats.relion_ctf import read_micrographs_ctf
from crisp_core.formats.tables import write_table
from crisp_core.logs import start_log
from crisp_core.particles.boxes import choose_boxes
from crisp_core.particles.extraction import extract_stack
from crisp_core.particles.star import write_extracted_star
from crisp_core.picking.sizes import read_suggested_box

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

start_log(snakemake.log[0])
dataset = snakemake.params.dataset
pixel_size = dataset["pixel_size"]
settings = dict(snakemake.params.particles)
invert, float16 = settings.pop("invert_contrast"), settings.pop("float16")
for path in snakemake.input.sizes:
    settings["box_angstrom"] = read_suggested_box(path)
boxes = choose_boxes(pixel_size, dataset["diameter_angstrom"], **settings)
ctf, groups = read_micrographs_ctf(snakemake.input.ctf[0]) if snakemake.input.ctf else (None, None)
picks, excluded = without_excluded(
    read_coordinates_star(snakemake.input.picks), read_excluded(snakemake.input.excluded)
)
extracted = extract_stack(
    snakemake.output.stack,
    picks,
    snakemake.params.micrographs,
    boxes,
    pixel_size=pixel_size,
    invert=invert,
    float16=float16,
    ctf=ctf,
    shapes={name: grid.full_shape for name, grid in array_grids(snakemake.input.images, "image").items()},
)
write_extracted_star(
    snakemake.output.particles,
    extracted.kept,
    boxes,
    stack=snakemake.output.stack,
    star_paths=snakemake.params.star_paths,
    pixel_size=pixel_size,
    microscope=dataset["microscope"],
    ctf=ctf,
    groups=groups,
)
dropped = pd.concat([excluded, extracted.dropped]) if len(excluded) else extracted.dropped
write_table(dropped, snakemake.output.dropped)
