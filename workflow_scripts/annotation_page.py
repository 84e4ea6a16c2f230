"""Rule annotation_page: the page on which a person marks particles on micrographs without any picks."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from crisp_core.logs import start_log
from crisp_core.report.annotation import annotation_views, render_annotation

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
params = snakemake.params
views = annotation_views(
    snakemake.input.images, diameter_angstrom=params.dataset["diameter_angstrom"], preferred=params.marked
)
page = render_annotation(
    views,
    run=params.run,
    pixel_size=params.dataset["pixel_size"],
    n_micrographs=params.n_micrographs,
    made=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
)
Path(snakemake.output[0]).write_text(page, encoding="utf-8")
log.info("%d micrographs, %.1f MB", len(views), len(page.encode()) / 1e6)
