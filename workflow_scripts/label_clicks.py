"""Rule label_clicks: outlines of the particles, estimated from the pixels around their coordinates."""

from functools import partial
from typing import TYPE_CHECKING

import h5py

from crisp_core.formats.arrays import array_grids, read_array, write_array
from crisp_core.formats.relion_coordinates import read_coordinates_star
from crisp_core.formats.tables import read_table, write_table
from crisp_core.geometry import angstrom_to_px, rescaled_xy
from crisp_core.labels.click_table import CLICK_COLUMNS, click_row
from crisp_core.labels.clicks import label_clicks
from crisp_core.labels.outlines import label_arrays
from crisp_core.labels.settings import ClickSettings
from crisp_core.logs import start_log
from crisp_core.segmentation.crf.smoothing import smoothed_marginals
from crisp_core.segmentation.devices import start_torch

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
start_torch(threads=snakemake.threads, gpus=0)
params, settings = snakemake.params, ClickSettings.of(snakemake.params.clicks)
coordinates, rows = read_coordinates_star(snakemake.input.coordinates), []
labelled = set(read_table(snakemake.input.names)["micrograph"])
with h5py.File(snakemake.output.labels, "w") as output:
    for name, grid in array_grids(snakemake.input.images, "image").items():
        if name not in labelled:
            continue
        image, valid = (read_array(snakemake.input.images, kind, name).data for kind in ("image", "valid"))
        xy = coordinates.loc[coordinates["micrograph"] == name, ["x", "y"]].to_numpy()
        xy = rescaled_xy(xy, grid.full_shape, grid.shape)
        diameter_px, disc_radius_px = (
            angstrom_to_px(length, grid.pixel_size)
            for length in (params.dataset["diameter_angstrom"], params.disc_radius_angstrom)
        )
        label = label_clicks(
            *(image, valid, xy),
            diameter_px=diameter_px,
            settings=settings,
            smooth=partial(smoothed_marginals, gamma_px=settings.gamma_diameters * diameter_px),
            disc_radius_px=disc_radius_px,
        )
        arrays = label_arrays(label.instances, with_instances=params.instances)
        if settings.unsure_margin:
            arrays["unsure"] = label.unsure
        for kind, array in arrays.items():
            write_array(output, kind, name, array, pixel_size=grid.pixel_size, full_shape=grid.full_shape)
        rows.append(click_row(name, len(xy), label, pixel_size=grid.pixel_size))
        diameter_angstrom = rows[-1]["equivalent_diameter_angstrom"]
        if label.refusal:
            log.warning("labelled %s by discs: %s", name, label.refusal)
        else:
            log.info(
                *("labelled %s, %d outlines, mean equivalent diameter %.0f Å, low pass %g diameters, weight %g", name),
                *(len(xy), diameter_angstrom, label.lowpass_diameters, label.weight),
            )
write_table(rows, snakemake.output.table, columns=CLICK_COLUMNS, digits=4)
