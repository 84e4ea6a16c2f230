"""The report page: data and tables in the template of this folder."""

import json
import platform
import shlex
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

import crisp_core
from crisp_core.figures.registry import BY_NAME, figure_of_file
from crisp_core.report.tables import pooled_rows

FOLDER = Path(__file__).parent
PACKAGES = (
    *("snakemake", "torch", "segmentation_models_pytorch", "timm", "numpy", "scipy", "pandas", "scikit-image"),
    *("trackpy", "topaz-em", "aspire", "mrcfile", "starfile", "matplotlib"),
)


def render_page(runs: Sequence[Mapping[str, object]], *, made: str) -> str:
    """Return the HTML of the page.

    Parameters
    ----------
    runs : sequence of mappings
        Results of the script report_data, completed by report_page.
    made : str
        Date and time of the page.
    """
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
    }
    environment.filters["figure_entry"] = figure_of_file
    environment.globals["figure_entries"] = BY_NAME
    return environment.get_template("page.html").render(
        runs=runs,
        made=made,
        versions=find_versions(),
        style=Markup((FOLDER / "style.css").read_text(encoding="utf-8")),
        viewer=Markup((FOLDER / "viewer.js").read_text(encoding="utf-8")),
        data=embedded_json([run["viewer"] for run in runs]),
    )


def summarise_run(run: Mapping[str, Any]) -> dict[str, Any]:
    """Return the first lines of a run: counts, and the scores of the test part, or of the last part with scores."""
    counts = {key: run[key] for key in ("n_micrographs", "n_picks", "n_particles")}
    counts["n_quarantined"] = len(run["quarantine"]["rows"])
    if not run["labelled"]:
        return counts | {"part": None}
    picks, pixels = ({row["part"]: row for row in pooled_rows(run["scores"].get(name))} for name in ("picks", "pixels"))
    part = "test" if "test" in picks else list(picks)[-1]
    return counts | {"part": part, "picks": picks[part], "pixels": pixels.get(part)}


def run_links(dataset: str, experiment: str) -> dict[str, str]:
    """Return links to the files of a run by their text, relative to the folder of the page."""
    run = f"{dataset}/{experiment}"
    return {
        "particles.star": f"{run}/particles.star",
        "autopick.star": f"{run}/autopick.star",
        "picks": f"{run}/picks/",
        "all files of the run": f"{run}/",
        "files of the dataset": f"{dataset}/",
    }


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
    if isinstance(value, int):
        return f"{value:,}".replace(",", "\u202f")
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
