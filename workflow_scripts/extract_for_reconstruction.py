"""Rule extract_for_reconstruction: coarse particle images of a batch at the given coordinates, with their star file.

They are cut from the micrographs themselves and not from the working images, so that the integer that a coordinate is
cut to is one of the full resolution, and the images are those that RELION's own extraction would make.
"""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from crisp_core.coordinates import match_names
from crisp_core.logs import start_log
from crisp_core.particles import extract_to_stack
from crisp_core.reconstruction.stacks import coarse_boxes
from crisp_core.star import (
    CTF_LABELS,
    optics_table,
    particles_table,
    read_coordinates_star,
    read_micrographs_ctf,
    write_particles_star,
)

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

start_log(snakemake.log[0])
dataset = dict(snakemake.params.dataset)
diameter_angstrom = dataset.pop("particle_diameter_angstrom")
pixel_size = dataset.pop("pixel_size")
boxes = coarse_boxes(pixel_size, diameter_angstrom, stack_pixel_size=snakemake.params.stack_pixel_size)
listed = pd.read_csv(snakemake.input.list, sep="\t", dtype=str)
star_paths = dict(zip(listed["micrograph"], listed["star_path"], strict=True))
coordinates = read_coordinates_star(snakemake.input.coordinates)
coordinates = coordinates[coordinates["micrograph"].isin(set(snakemake.params.micrographs) & set(star_paths))].copy()
# the pixel that becomes the middle of the box, so that the origins found later refer to it
coordinates[["x", "y"]] = np.trunc(coordinates[["x", "y"]])
extracted = extract_to_stack(
    snakemake.output.stack,
    coordinates,
    snakemake.params.micrographs,
    boxes,
    pixel_size=pixel_size,
)
ctf = None
if snakemake.input.ctf:
    ctf = read_micrographs_ctf(snakemake.input.ctf[0])
    ctf["micrograph"] = match_names(ctf["micrograph"].tolist(), list(star_paths))["micrograph"]
elif snakemake.input.truth:
    truth = read_coordinates_star(snakemake.input.truth[0])
    ctf = truth[["micrograph", *CTF_LABELS]].rename(columns=CTF_LABELS).drop_duplicates("micrograph")
particles = particles_table(extracted.kept, stack=snakemake.output.stack, micrograph_paths=star_paths, ctf=ctf)
optics = optics_table(**dataset, micrograph_pixel_size=pixel_size, pixel_size=boxes.pixel_size, box_px=boxes.size_px)
write_particles_star(snakemake.output.particles, optics, particles)
extracted.dropped.to_csv(snakemake.output.dropped, sep="\t", index=False)
