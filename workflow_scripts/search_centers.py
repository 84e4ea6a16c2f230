"""Rule search_centers: try the finders' settings on the validation part, keep the best with its threshold."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from crisp_core.errors import UserError
from crisp_core.formats.centers import write_centers
from crisp_core.formats.coordinates.placing import onto_grids
from crisp_core.formats.relion_coordinates import read_coordinates_stars
from crisp_core.formats.tables import write_table
from crisp_core.geometry import angstrom_to_px
from crisp_core.logs import start_log
from crisp_core.picking.finders import settings_to_try
from crisp_core.picking.search import choose, pick_settings, scores_by_setting, search_table
from crisp_core.picking.settings import RemovalSettings
from crisp_core.picking.validation import find_validation_maps
from crisp_core.segmentation.shipped import sha256

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
params = snakemake.params
maps = find_validation_maps(snakemake.input.split, snakemake.input.probability, snakemake.input.images)
if not maps.grids:
    raise UserError(
        f"{snakemake.input.split}: no micrograph of the validation part has a map; put one into it, or see the tables "
        f"in results/{snakemake.wildcards.dataset}/{snakemake.wildcards.experiment}/quarantine"
    )
truth = onto_grids(read_coordinates_stars(snakemake.input.coordinates), maps.grids)
diameter_px = angstrom_to_px(params.dataset["diameter_angstrom"], next(iter(maps.grids.values())).pixel_size)
rules = {
    "removal": RemovalSettings.of(params.removal),
    "diameter_px": params.dataset["diameter_px"],
    "box_px": params.edge_box_px,
}
options = {"diameter_px": diameter_px, "keep": partial(maps.filter_of, **rules)}
searched = maps.labels(snakemake.input.labels) if params.maps == "labels" else maps.predicted()
settings = settings_to_try(params.finder)
scored = scores_by_setting(searched, truth, settings=settings, **options)
rows = search_table(scored, params.target_precision)
write_table(rows, snakemake.output.search, digits=6)
best = settings[choose(rows, params.criterion)]
if params.maps == "labels":
    # a threshold on perfect masks says nothing about predictions
    scored = scores_by_setting(maps.predicted(), truth, settings=[best], **options)
network = {"network": params.network, "network_sha256": sha256(Path(snakemake.input.network)), **params.shipped}
chosen = network | pick_settings(best, scored[best], params.target_precision)
write_centers(snakemake.output.centers, chosen)
log.info(
    "%s, threshold %.3f; precision %.3f and recall %.3f on the validation part",
    best,
    *(chosen[key] for key in ("threshold", "expected_precision", "expected_recall")),
)
