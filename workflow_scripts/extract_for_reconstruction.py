"""Rule extract_for_reconstruction: coarse particle images of a batch at the given coordinates, with their star file.

They are cut from the micrographs themselves and not from the working images, so that the integer that a coordinate is
cut to is one of the full resolution, and the images are those that RELION's own extraction would make.
"""

from typing import TYPE_CHECKING

import numpy as np

from crisp_core.formats.arrays import array_grids
from crisp_core.formats.relion_coordinates import read_coordinates_star
from crisp_core.formats.relion_ctf import read_micrographs_ctf
from crisp_core.formats.relion_labels import CTF_LABELS
from crisp_core.formats.tables import write_table
from crisp_core.logs import start_log
from crisp_core.particles.extraction import extract_stack
from crisp_core.particles.star import write_extracted_star
from crisp_core.reconstruction.stacks import coarse_boxes

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

start_log(snakemake.log[0])
dataset = snakemake.params.dataset
pixel_size = dataset["pixel_size"]
boxes = coarse_boxes(pixel_size, dataset["diameter_angstrom"], stack_pixel_size=snakemake.params.stack_pixel_size)
coordinates = read_coordinates_star(snakemake.input.coordinates)
coordinates = coordinates[coordinates["micrograph"].isin(snakemake.params.micrographs.keys())].copy()
# the pixel that becomes the middle of the box, so that the origins found later refer to it
coordinates[["x", "y"]] = np.trunc(coordinates[["x", "y"]])
ctf = groups = None
if snakemake.input.ctf:
    ctf, groups = read_micrographs_ctf(snakemake.input.ctf[0])
elif snakemake.input.truth:
    truth = read_coordinates_star(snakemake.input.truth[0])
    ctf = truth[["micrograph", *CTF_LABELS]].rename(columns=CTF_LABELS).drop_duplicates("micrograph")
extracted = extract_stack(
    snakemake.output.stack,
    coordinates,
    snakemake.params.micrographs,
    boxes,
    pixel_size=pixel_size,
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
write_table(extracted.dropped, snakemake.output.dropped)
