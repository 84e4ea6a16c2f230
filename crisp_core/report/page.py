"""The report page of a run: data and tables in the template of this folder."""

import json
import platform
import shlex
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

import crisp_core
from crisp_core.evaluation.performance import rule_costs
from crisp_core.figures.registry import BY_NAME, figure_of_file
from crisp_core.formats.tables import read_table
from crisp_core.report.contact import sheet_facts, sheet_orders
from crisp_core.report.previews import png_file_uri
from crisp_core.report.tables import (
    counts_by_reason,
    empty_columns,
    first_row,
    pooled_rows,
    table_rows,
    value_counts,
)

FOLDER = Path(__file__).parent
# scripts of the page of a run, in this order, and styles of all pages
SCRIPTS = (
    "parts.js",
    "viewer.js",
    "contact.js",
    "correct_work.js",
    "correct_draw.js",
    "correct_hand.js",
    "correct_save.js",
    "correct.js",
)
STYLES = ("style.css", "contact.css", "correct.css")
# files of a run, as seen from the folder of its page
RUN_LINKS = {
    "particles.star": "particles.star",
    "autopick.star": "autopick.star",
    "picks": "picks/",
    "all files of the run": "./",
    "files of the dataset": "../",
}
PACKAGES = (
    *("snakemake", "torch", "segmentation_models_pytorch", "timm", "numpy", "scipy", "pandas", "scikit-image"),
    *("trackpy", "topaz-em", "aspire", "mrcfile", "starfile", "matplotlib"),
)
# From the first number on, whole numbers are shown; from the second on, powers of ten.
MOST_DIGITS = (9999.5, 1e15)


def complete_run(
    run: Mapping[str, Any], extra: Iterable[str], call: Mapping[str, Any], *, picks: Iterable[Path] = ()
) -> dict[str, Any]:
    """Complete the data of a run with its times, links, commands and the results that were made on request.

    Parameters
    ----------
    run : mapping
        Data of rule report_data, and names, settings and folders of the run (`plan.reports.report_run`).
    extra : iterable of str
        Tables (.tsv) and plots (.png) that were made on request.
    call : mapping
        Config files, default config and overrides of the call that makes the page.
    picks : iterable of Path
        Files of the run's picks; results on request that depend on them and are older are marked.
    """
    costs = rule_costs(f"{folder}/performance" for folder in run["folders"])
    # `snakemake --config` reads a nested number as text, so that a threshold needs a config file on top of the others;
    # without any, it is on top of the default run's, or of micrographs and diameter on the command line
    configfiles, overrides = call["configfiles"], call["overrides"]
    base = [call["default_config"]] if call["default_config"] else []
    export = run_command([*(configfiles or base), "threshold.yaml"], overrides=overrides)
    is_extracted = run["n_particles"] is not None
    names = {
        "name": f"{run['dataset']}/{run['experiment']}",
        "dataset": run["dataset"],
        "experiment": run["experiment"],
    }
    entry = "picker" if run["picker"] else "centers"
    return dict(run) | {
        "name": names["name"],
        "settings": yaml.safe_dump(run["settings"], sort_keys=False, allow_unicode=True),
        "performance": table_rows(costs.sort_values("seconds", ascending=False).reset_index())["rows"],
        "command": run_command(configfiles, overrides=overrides),
        "summary": summarise_run(run),
        "links": {key: link for key, link in RUN_LINKS.items() if key != "particles.star" or is_extracted},
        "viewer": run["viewer"] | names | {"entry": entry, "command": export},
        **read_extras(extra, outdated=outdated_extras(extra, picks, simulated=run["simulated"])),
    }


def outdated_extras(extra: Iterable[str], picks: Iterable[Path], *, simulated: bool) -> list[str]:
    """Results on request that are older than the picks on which they depend: nothing makes them again.

    Parameters
    ----------
    extra : iterable of str
        Tables and plots in the folder of a run.
    picks : iterable of Path
        Files of the run's picks.
    simulated : bool
        Whether the micrographs are simulated: only then resolutions are those of the run's picks.
    """
    newest = max((path.stat().st_mtime for path in picks), default=0)
    independent = {"noise"} if simulated else {"noise", "resolution"}
    own = (path for path in extra if Path(path).parent.name not in independent)
    return [path for path in own if Path(path).stat().st_mtime < newest]


def read_extras(paths: Iterable[str], *, outdated: Collection[str] = ()) -> dict[str, Any]:
    """Tables and plots that were made on request, for a template: extra_tables and extra_plots, by path.

    extra_made has the time of each, and whether it is outdated.

    Parameters
    ----------
    paths : iterable of str
        Tables (.tsv) and plots (.png).
    outdated : collection of str
        Those that depend on later picks.
    """
    paths = list(paths)
    times = {path: datetime.fromtimestamp(Path(path).stat().st_mtime) for path in paths}
    tables = {path: read_table(path) for path in paths if path.endswith(".tsv")}
    return {
        "extra_tables": {path: table_rows(table) for path, table in tables.items()},
        "extra_plots": {path: png_file_uri(path) for path in paths if path.endswith(".png")},
        "extra_made": {
            path: {"time": f"{time:%Y-%m-%d %H:%M}", "is_old": path in outdated} for path, time in times.items()
        },
    }


def template_environment() -> Environment:
    """Jinja environment of the templates in this folder, with their filters."""
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": format_number,
        "share": format_share,
        "duration": format_duration,
        "pooled": pooled_rows,
        "first_row": first_row,
        "by_reason": counts_by_reason,
        "empty_columns": empty_columns,
        "value_counts": value_counts,
        "figure_entry": figure_of_file,
    }
    environment.globals["figure_entries"] = BY_NAME
    environment.globals["style"] = joined(STYLES)
    return environment


def joined(names: Iterable[str]) -> Markup:
    """Scripts or styles of this folder, one after the other."""
    return Markup("\n".join((FOLDER / name).read_text(encoding="utf-8") for name in names))


def render_page(run: Mapping[str, Any], *, made: str) -> str:
    """HTML of the page of a run.

    Parameters
    ----------
    run : mapping
        Of `complete_run`.
    made : str
        Date and time.
    """
    facts = sheet_facts(run.get("curation"))
    return (
        template_environment()
        .get_template("page.html")
        .render(
            run=run,
            facts=facts,
            orders=sheet_orders(facts),
            made=made,
            versions=find_versions(),
            scripts=joined(SCRIPTS),
            data=embedded_json(run["viewer"]),
        )
    )


def index_entry(run: Mapping[str, Any], *, made: str) -> dict[str, Any]:
    """Entry of a run in the index: its name, its picker, when its page was made, counts and main scores."""
    picks = run["picker"] or f"network, {run['finder']}"
    return {"name": run["name"], "picks_with": picks, "made": made, "summary": run["summary"]}


def summarise_run(run: Mapping[str, Any]) -> dict[str, Any]:
    """Return the first lines of a run: counts, and the scores of the test part, or of the last part with scores."""
    counts = {key: run[key] for key in ("n_micrographs", "n_picks", "n_particles")}
    counts["n_quarantined"] = len(run["quarantine"]["rows"])
    if not run["labelled"]:
        return counts | {"part": None}
    picks, pixels = ({row["part"]: row for row in pooled_rows(run["scores"].get(name))} for name in ("picks", "pixels"))
    part = "test" if "test" in picks else list(picks)[-1]
    return counts | {"part": part, "picks": picks[part], "pixels": pixels.get(part)}


def embedded_json(data: object) -> Markup:
    """Return JSON for a script element; characters that could end the element are escaped."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False, ensure_ascii=True)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def find_versions() -> dict[str, str]:
    """Return the versions of CRISP, Python and the main packages, and the kind of machine."""
    found = {"CRISP": crisp_core.__version__, "Python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found | {"system": f"{platform.system()} {platform.machine()}"}


def run_command(
    configfiles: Sequence[str | Path], *, cores: int = 8, overrides: Mapping[str, object] | None = None
) -> str:
    """Return the command that runs the workflow.

    Parameters
    ----------
    configfiles : sequence of paths
        Config files; later ones override earlier ones.
    cores : int
        Number of cores.
    overrides : mapping, optional
        Keys and values of `--config`.
    """
    words = ["snakemake", "--cores", str(cores)]
    if overrides:
        words += ["--config", *(f"{key}={json.dumps(value)}" for key, value in overrides.items())]
    if configfiles:
        words += ["--configfile", *(_from_here(path) for path in configfiles)]
    return shlex.join(words)


def _from_here(path: str | Path) -> str:
    path = Path(path)
    return str(path.relative_to(Path.cwd())) if path.is_absolute() and path.is_relative_to(Path.cwd()) else str(path)


def format_number(value: object) -> str:
    """Format a number for readers: groups of thousands, four digits of a fraction; other values as text."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    # a count beside a mean is a float
    if isinstance(value, int) or (isinstance(value, float) and MOST_DIGITS[0] <= abs(value) < MOST_DIGITS[1]):
        return f"{value:,.0f}".replace(",", "\u202f")
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def format_share(value: float | None) -> str:
    """Format a share with three decimals."""
    return "–" if value is None else f"{value:.3f}"


def format_duration(seconds: float) -> str:
    """Format seconds as 12.3 s, 4 min 05 s or 2 h 03 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
