"""Rule report_page: the page of a run, which opens offline, and its entry in the index."""

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from crisp_core.logs import start_log
from crisp_core.report.page import complete_run, index_entry, render_page

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
params = snakemake.params
run = complete_run(
    params.run | json.loads(Path(snakemake.input.data).read_text()),
    params.extra,
    snakemake.config["call"],
    picks=Path(snakemake.output.page).parent.glob("picks/*.star"),
)
made = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z")
page = render_page(run, made=made)
Path(snakemake.output.page).write_text(page, encoding="utf-8")
Path(snakemake.output.entry).write_text(json.dumps(index_entry(run, made=made), allow_nan=False))
log.info("size of the page: %.1f MB", len(page.encode()) / 1e6)
