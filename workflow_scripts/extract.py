"""Rule extract: particle images of a batch, their star file, and the picks that gave no image."""

from typing import TYPE_CHECKING

import pandas as pd

from crisp_core.coordinates import match_names
from crisp_core.logs import start_log
from crisp_core.particles import box_sizes, extract_to_stack
from crisp_core.star import (
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
settings = dict(snakemake.params.particles)
invert = settings.pop("invert_contrast")
boxes = box_sizes(pixel_size, diameter_angstrom, **settings)
picks = read_coordinates_star(snakemake.input.picks)
extracted = extract_to_stack(
    snakemake.output.stack,
    picks,
    snakemake.params.micrographs,
    boxes,
    pixel_size=pixel_size,
    invert=invert,
)
micrographs = pd.read_csv(snakemake.input.list, sep="\t", dtype=str)
optics = optics_table(**dataset, micrograph_pixel_size=pixel_size, pixel_size=boxes.pixel_size, box_px=boxes.size_px)
star_paths = dict(zip(micrographs["micrograph"], micrographs["star_path"], strict=True))
ctf = None
if snakemake.input.ctf:
    ctf = read_micrographs_ctf(snakemake.input.ctf[0])
    ctf["micrograph"] = match_names(ctf["micrograph"].tolist(), list(star_paths))["micrograph"]
particles = particles_table(
    extracted.kept,
    stack=snakemake.output.stack,
    micrograph_paths=star_paths,
    ctf=ctf,
)
write_particles_star(snakemake.output.particles, optics, particles)
extracted.dropped.to_csv(snakemake.output.dropped, sep="\t", index=False)
