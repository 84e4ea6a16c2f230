"""Rule quarantine: what a dataset's stages refused, what contradicts the config, and which files are left out."""

from typing import TYPE_CHECKING

import pandas as pd

from crisp_core.datasets.pixel_sizes import header_notices, shape_notices
from crisp_core.datasets.quarantine import read_quarantine, write_quarantine
from crisp_core.formats.tables import read_table, write_table
from crisp_core.logs import start_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
stages = ("prepare", "coordinates", "ctf", "labels")
refused = read_quarantine(*(path for stage in stages for path in snakemake.input[stage]))
for path, stage, reason in refused:
    log.warning("quarantined by %s: %s (%s)", stage, path, reason)
write_quarantine(snakemake.output.quarantine, refused)
micrographs = read_table(snakemake.input.micrographs)
stated = dict(zip(micrographs["path"], micrographs["header_pixel_size"], strict=True))
shapes = dict(zip(micrographs["path"], zip(micrographs["height"], micrographs["width"], strict=True), strict=True))
notices = [*header_notices(stated, snakemake.params.dataset["pixel_size"]), *shape_notices(shapes, stated)]
notices += snakemake.params.ctf_notices
for path in snakemake.input.coordinate_notices:
    notices += read_table(path)["notice"].tolist()
# a file of many micrographs is read for every addition
notices = list(dict.fromkeys(notices))
for notice in notices:
    log.warning("%s", notice)
write_table({"notice": notices}, snakemake.output.notices)
others = pd.DataFrame(list(snakemake.params.left_out.items()), columns=["path", "reason"])
write_table(others, snakemake.output.left_out)
if len(others):
    log.warning(
        "%d files left out, see %s; the first: %s (%s)", len(others), snakemake.output.left_out, *others.iloc[0]
    )
