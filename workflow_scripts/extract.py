"""Rule extract: particle images of a batch, their star file, and the picks that gave no image."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from crisp_core.coordinates import match_names
from crisp_core.logs import start_log
from crisp_core.micrographs import read_micrograph
from crisp_core.particles import box_sizes, extract, write_stack
from crisp_core.star import (
    optics_table,
    particles_table,
    read_coordinates_star,
    read_micrographs_ctf,
    write_particles_star,
)

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
dataset = dict(snakemake.params.dataset)
diameter_angstrom = dataset.pop("particle_diameter_angstrom")
pixel_size = dataset.pop("pixel_size")
settings = dict(snakemake.params.particles)
invert = settings.pop("invert_contrast")
boxes = box_sizes(pixel_size, diameter_angstrom, **settings)
picks = read_coordinates_star(snakemake.input.picks)
kept, dropped = [picks.iloc[:0]], [picks.iloc[:0].assign(reason="")]


def stacks() -> Iterator[np.ndarray]:
    """Particle images micrograph by micrograph, so that memory holds one micrograph at a time."""
    for name, rows in picks.groupby("micrograph", sort=False):
        image, _ = read_micrograph(snakemake.params.micrographs[name], name=name, pixel_size=pixel_size)
        particles = extract(
            image,
            rows[["x", "y"]].to_numpy(),
            box_px=boxes.box_px,
            bg_radius_px=boxes.bg_radius_px,
            rescale_px=boxes.size_px,
            invert=invert,
        )
        kept.append(rows[particles.reasons == ""])
        dropped.append(rows[particles.reasons != ""].assign(reason=particles.reasons[particles.reasons != ""]))
        log.info("extracted %d of %d particles of %s", len(kept[-1]), len(rows), name)
        yield particles.stack


write_stack(snakemake.output.stack, stacks(), size_px=boxes.size_px, pixel_size=boxes.pixel_size)
micrographs = pd.read_csv(snakemake.input.list, sep="\t", dtype=str)
optics = optics_table(**dataset, micrograph_pixel_size=pixel_size, pixel_size=boxes.pixel_size, box_px=boxes.size_px)
star_paths = dict(zip(micrographs["micrograph"], micrographs["star_path"], strict=True))
ctf = None
if snakemake.input.ctf:
    ctf = read_micrographs_ctf(snakemake.input.ctf[0])
    ctf["micrograph"] = match_names(ctf["micrograph"].tolist(), list(star_paths))["micrograph"]
particles = particles_table(
    pd.concat(kept, ignore_index=True),
    stack=snakemake.output.stack,
    micrograph_paths=star_paths,
    ctf=ctf,
)
write_particles_star(snakemake.output.particles, optics, particles)
pd.concat(dropped, ignore_index=True).to_csv(snakemake.output.dropped, sep="\t", index=False)
