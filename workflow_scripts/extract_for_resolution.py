"""Rule extract_for_resolution: images and poses of all particles of a batch that a compared set can be made of."""

from typing import TYPE_CHECKING

from crisp_core.evaluation.particle_sets import read_pick_sets, simulated_particles
from crisp_core.evaluation.refinements import check_inside, refined_sets
from crisp_core.formats.arrays import array_grids
from crisp_core.formats.relion_coordinates import read_coordinates_star
from crisp_core.formats.tables import read_table
from crisp_core.logs import start_log
from crisp_core.particles.boxes import choose_boxes
from crisp_core.particles.extraction import OUTSIDE, extract_stack
from crisp_core.particles.star import write_extracted_star

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
params, dataset = snakemake.params, snakemake.params.dataset
pixel_size = dataset["pixel_size"]
shapes = {name: grid.full_shape for name, grid in array_grids(snakemake.input.images, "image").items()}
listed = read_table(snakemake.input.list)
star_paths = dict(zip(listed["micrograph"], listed["star_path"], strict=True))

if params.refined:
    optics = {"pixel_size": pixel_size, "microscope": dataset["microscope"]}
    particles = refined_sets(params.refined, list(star_paths), **optics)
    particles = particles[particles["micrograph"].isin(set(shapes))]
else:
    split = read_table(snakemake.input.split)
    kept = split if params.part == "all" else split[split["part"] == params.part]
    particles = simulated_particles(
        read_pick_sets(snakemake.input.picks, params.others, list(star_paths)),
        read_coordinates_star(snakemake.input.truth),
        {name: shape for name, shape in shapes.items() if name in set(kept["micrograph"])},
        false_share=max(params.false_sets.values(), default=0),
        diameter_px=dataset["diameter_px"],
        pixel_size=pixel_size,
        seed=params.seed,
    )
sizes = {"box_angstrom": params.box_angstrom, "stack_pixel_size": params.stack_pixel_size}
boxes = choose_boxes(pixel_size, dataset["diameter_angstrom"], **sizes)
extracted = extract_stack(
    snakemake.output.stack, particles, params.micrographs, boxes, pixel_size=pixel_size, shapes=shapes
)
log.info("%d particles, %d dropped", len(extracted.kept), len(extracted.dropped))
if params.refined:
    check_inside((extracted.dropped["reason"] == OUTSIDE).sum(), len(particles))
write_extracted_star(
    snakemake.output.particles,
    extracted.kept,
    boxes,
    stack=snakemake.output.stack,
    star_paths=star_paths,
    pixel_size=pixel_size,
    microscope=dataset["microscope"],
    poses=extracted.kept.drop(columns=["micrograph", "x", "y", "score"]),
)
