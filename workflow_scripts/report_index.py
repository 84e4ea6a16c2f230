"""Rule report_index: all runs whose pages exist, of any config, and the tables and comparisons of several runs."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from crisp_core.logs import start_log
from crisp_core.report.index import render_index

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
entries = [json.loads(Path(path).read_text()) for path in snakemake.input.entries]
page = render_index(entries, list(snakemake.params.shared))
Path(snakemake.output[0]).write_text(page, encoding="utf-8")
log.info("%d runs, %.1f MB", len(entries), len(page.encode()) / 1e6)
