"""Rule report_data: what the report shows of one run."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import yaml

from crisp_core.datasets.splits import parts_of
from crisp_core.figures.pick_counts import draw_pick_counts
from crisp_core.figures.score_histogram import draw_score_histogram
from crisp_core.formats.relion_coordinates import read_coordinates_star
from crisp_core.formats.star import read_blocks
from crisp_core.logs import start_log
from crisp_core.picking.finders import finder_of_file
from crisp_core.report.picked import (
    chosen_threshold,
    fill_missing_scores,
    mark_outliers,
    match_micrographs,
    pick_counts,
    pooled_counts,
    score_groups,
    threshold_grid,
)
from crisp_core.report.previews import figure_uri, png_file_uri
from crisp_core.report.sheet import files_by_name, sheet_and_views
from crisp_core.report.tables import table_rows
from crisp_core.report.view import draw_particle_figures, sample_particles

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

AVERAGED = 500

start_log(snakemake.log[0])
params, given = snakemake.params, snakemake.input
labelled = "split" in given.keys()
parts = parts_of(given.split, given.names) if labelled else {}
truth = read_coordinates_star(given.coordinates) if labelled else None
candidates = fill_missing_scores(
    pd.concat([read_coordinates_star(path) for path in given.candidates], ignore_index=True)
)
settings = {"threshold": None}
for path in [given.threshold] if isinstance(given.threshold, str) else given.threshold:
    settings = yaml.safe_load(Path(path).read_text())
scores = candidates["score"].to_numpy(float)
chosen = chosen_threshold(settings["threshold"] if params.threshold is None else params.threshold, scores)
thresholds = threshold_grid(chosen, scores)

files = {"image": files_by_name(given.images, "image")}
files |= {kind: files_by_name(given.get(key, []), kind) for kind, key in (("probability",) * 2, ("label", "labels"))}
found = match_micrographs(candidates, truth, files["image"], parts, diameter_px=params.dataset["diameter_px"])
counts = mark_outliers(pick_counts(found, chosen))
previews = {"diameter_angstrom": params.dataset["diameter_angstrom"], "n_previews": params.n_previews}
sheet, views = sheet_and_views(found, counts, files, parts, **previews)

star = read_blocks(given.particles)
particles = sample_particles(given.stacks, AVERAGED)
stack_pixel_size = float(star["optics"]["rlnImagePixelSize"].iloc[0])
tables = {
    key: given[key]
    for key in ("quarantine", "notices", "left_out", "dropped", "picks", "pixels")
    if key in given.keys()
}
tables = {key: table_rows(pd.read_csv(path, sep="\t", dtype={"micrograph": str})) for key, path in tables.items()}
data = {
    "labelled": labelled,
    "finder": str(finder_of_file(settings)) if "finder" in settings else "",
    "n_micrographs": len(counts),
    "n_viewed": len(views),
    "n_picks": int(counts["n_picks"].sum()),
    "n_particles": len(star["particles"]),
    "n_averaged": len(particles),
    "sheet": sheet,
    "outliers": table_rows(counts[counts["outlier"]].drop(columns="outlier")),
    "viewer": {
        "thresholds": thresholds.tolist(),
        "chosen": chosen,
        "pooled": pooled_counts(found, parts, thresholds),
        "micrographs": views,
    },
    "quarantine": tables.pop("quarantine"),
    "left_out": tables.pop("left_out"),
    "notices": tables.pop("notices"),
    "dropped": tables.pop("dropped"),
    "scores": tables,
    "figures": {Path(path).stem: png_file_uri(path) for path in given.plots}
    | {
        "scores": figure_uri(draw_score_histogram(score_groups(found), threshold=chosen)),
        "picks_per_micrograph": figure_uri(draw_pick_counts(counts)),
    }
    | draw_particle_figures(particles, diameter_px=params.dataset["diameter_angstrom"] / stack_pixel_size),
}
Path(snakemake.output[0]).write_text(json.dumps(data, allow_nan=False))
