"""Rule report_page: all runs on one page that opens offline."""

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import yaml

from crisp_core.evaluation.performance import rule_costs
from crisp_core.logs import start_log
from crisp_core.report.page import render_page, run_command, run_links, summarise_run
from crisp_core.report.previews import png_file_uri
from crisp_core.report.tables import table_rows

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

log = start_log(snakemake.log[0])
params = snakemake.params
runs = []
for about, path in zip(params.runs, snakemake.input.data, strict=True):
    run = about | json.loads(Path(path).read_text())
    run["name"] = f"{run['dataset']}/{run['experiment']}"
    run["settings"] = yaml.safe_dump(run["settings"], sort_keys=False, allow_unicode=True)
    costs = rule_costs(f"{folder}/performance" for folder in run["folders"])
    run["performance"] = table_rows(costs.sort_values("seconds", ascending=False).reset_index())["rows"]
    run["command"] = run_command(params.configfiles, overrides=params.overrides)
    run["summary"] = summarise_run(run)
    run["links"] = run_links(run["dataset"], run["experiment"])
    extra = params.extra[run["name"]]
    run["extra_tables"] = {p: table_rows(pd.read_csv(p, sep="\t")) for p in extra if p.endswith(".tsv")}
    run["extra_plots"] = {p: png_file_uri(p) for p in extra if p.endswith(".png")}
    # `snakemake --config` cannot set a nested number: it reads it as text. A second config file can, on top of the
    # default run's own where there was none.
    base = params.configfiles or [params.default_config]
    run["viewer"] |= {
        "name": run["name"],
        "experiment": run["experiment"],
        "entry": "picker" if run["picker"] else "centers",
        "command": run_command([*base, "threshold.yaml"], overrides=params.overrides),
    }
    runs.append(run)
made = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z")
page = render_page(runs, made=made)
Path(snakemake.output[0]).write_text(page, encoding="utf-8")
log.info("%d runs, %.1f MB", len(runs), len(page.encode()) / 1e6)
