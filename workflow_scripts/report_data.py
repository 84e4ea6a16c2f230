"""Rule report_data: data of a run's page."""

from typing import TYPE_CHECKING

from crisp_core.datasets.quarantine import failed_micrographs
from crisp_core.datasets.splits import read_scored_parts
from crisp_core.formats.relion_coordinates import read_coordinates_star
from crisp_core.logs import start_log
from crisp_core.report.data import (
    centers_of,
    click_labels,
    particles_data,
    picks_data,
    plot_figures,
    read_candidates,
    read_tables,
    removal_warning,
)
from crisp_core.report.parts import write_run_data
from crisp_core.report.picked import match_micrographs
from crisp_core.report.sheet import files_by_name

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

start_log(snakemake.log[0])
params, given = snakemake.params, snakemake.input
diameter_angstrom, labelled = params.dataset["diameter_angstrom"], "split" in given.keys()
parts = read_scored_parts(given.split, given.names, failed=failed_micrographs(given.run_quarantine)) if labelled else {}
truth = read_coordinates_star(given.coordinates) if labelled else None
candidates = read_candidates(given.candidates)
sources = {"image": given.images, "label": given.get("labels", [])}
sources |= dict.fromkeys(("probability", "class"), given.get("probability", []))
files = {kind: files_by_name(paths, kind) for kind, paths in sources.items()}
picks = picks_data(
    match_micrographs(candidates, truth, files["image"], parts, diameter_px=params.dataset["diameter_px"]),
    files,
    parts,
    centers_of(given.threshold),
    given_threshold=params.threshold,
    scores=candidates["score"].to_numpy(float),
    diameter_angstrom=diameter_angstrom,
    pixel_size=params.dataset["pixel_size"],
    n_previews=params.n_previews,
    suggested=params.suggested,
)
particles = particles_data(given.get("particles"), given.get("stacks", []), diameter_angstrom=diameter_angstrom)
tables = {
    "quarantine": [given.quarantine, given.run_quarantine],
    "notices": [given.notices, *given.get("pick_notices", [])],
}
single = ("left_out", "dropped", "sizes", "suggested_sizes", "curation")
tables |= {name: [given[name]] for name in single if name in given.keys()}
scores = {name: [given[name]] for name in ("picks", "pixels") if name in given.keys()}
figures = plot_figures(given.plots) | picks.pop("figures") | particles.pop("figures")
data = {"labelled": labelled, **picks, **particles, **read_tables(tables), "scores": read_tables(scores)}
data["removal_warning"] = removal_warning(data["dropped"], n_picks=picks["n_picks"])
if clicks := given.get("clicks"):
    data["click_labels"] = click_labels(clicks, diameter_angstrom=diameter_angstrom)
write_run_data(data | {"figures": figures}, snakemake.output.data, previews=snakemake.output.get("previews"))
