"""Rule evaluate_maps: pixels of every part against labels, what the maps look like, and how calibrated the score is."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from crisp_core.evaluation.maps import count_map, map_table
from crisp_core.evaluation.parts import with_remark
from crisp_core.evaluation.pick_tables import calibration_table
from crisp_core.evaluation.pixels import count_pixels, pixel_table
from crisp_core.formats.arrays import array_names, read_array
from crisp_core.formats.centers import read_centers
from crisp_core.formats.relion_coordinates import read_coordinates_star, read_coordinates_stars
from crisp_core.formats.tables import read_table, write_table
from crisp_core.logs import start_log
from crisp_core.segmentation.pixel_weights import counted_pixels

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
split = read_table(snakemake.input.split)
parts = dict(zip(split["micrograph"], split["part"], strict=True))
batches = zip(snakemake.input.images, snakemake.input.labels, snakemake.input.probability, strict=True)
counts, maps = {}, {}
for images, labels, probability in batches:
    predicted = set(array_names(probability, "probability"))
    for name in set(array_names(labels, "label")) & parts.keys():
        if name not in predicted:
            log.warning("%s: has no map in %s; it is left out", name, probability)
            continue
        arrays = (
            read_array(probability, "probability", name).data.astype(np.float32),
            read_array(labels, "label", name).data,
            counted_pixels(images, labels, name),
        )
        counts[name], maps[name] = count_pixels(*arrays), count_map(*arrays)
predicted = {name: part for name, part in parts.items() if name in counts}
pixels = pixel_table((part, name, counts[name]) for name, part in predicted.items())
write_table(with_remark(pixels, snakemake.params.truth), snakemake.output.pixels, digits=6)
map_rows = map_table((part, name, maps[name]) for name, part in predicted.items())
write_table(map_rows, snakemake.output.maps, digits=6)
truth = read_coordinates_star(snakemake.input.coordinates)
candidates = read_coordinates_stars(snakemake.input.candidates)
centers = read_centers(snakemake.input.centers)
knots = pd.DataFrame(centers["calibration"]) if "calibration" in centers else None
calibration = calibration_table(
    truth, candidates, parts, knots=knots, diameter_px=snakemake.params.dataset["diameter_px"]
)
write_table(calibration, snakemake.output.calibration, digits=6)
for row in pixels.query("micrograph == 'all'").itertuples():
    log.info("%s: pixel IoU %.3f", row.part, row.iou)
