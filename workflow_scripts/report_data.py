"""Rule report_data: what the report shows of one run."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import yaml

from crisp_core.arrays import array_names, read_array
from crisp_core.geometry import angstrom_to_px
from crisp_core.logs import start_log
from crisp_core.plots import picks_per_micrograph, score_histogram
from crisp_core.report.page import table_rows
from crisp_core.report.picked import (
    chosen_threshold,
    pick_counts,
    picked_micrographs,
    pooled_counts,
    score_groups,
    scored,
    threshold_grid,
    with_outliers,
)
from crisp_core.report.previews import (
    MAX_SHEET,
    MAX_VIEWED,
    chosen_for_view,
    figure_uri,
    png_file_uri,
    preview_side,
    share_of_run,
)
from crisp_core.report.view import micrograph_view, particle_figures, sampled_particles, thumbnail
from crisp_core.star import read_blocks, read_coordinates_star

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

AVERAGED = 500

log = start_log(snakemake.log[0])
params, given = snakemake.params, snakemake.input


def table(path: str) -> pd.DataFrame:
    """Tab-separated table with names as text."""
    return pd.read_csv(path, sep="\t", dtype={"micrograph": str, "path": str})


def files_of(kind: str) -> dict[str, str]:
    """File of every micrograph that has an array of this kind."""
    key = {"image": "images", "label": "labels"}.get(kind, kind)
    paths = given[key] if key in given.keys() else []
    return {name: path for path in paths for name in array_names(path, kind)}


def array(kind: str, name: str):
    """Array of a micrograph, None where it has none of this kind."""
    return read_array(files[kind][name], kind, name).data if name in files[kind] else None


labelled = "split" in given.keys()
parts = {row.micrograph: row.part for row in table(given.split).itertuples()} if labelled else {}
truth = read_coordinates_star(given.coordinates) if labelled else None
candidates = scored(pd.concat([read_coordinates_star(path) for path in given.candidates], ignore_index=True))
settings = {"threshold": None}
for path in [given.threshold] if isinstance(given.threshold, str) else given.threshold:
    settings = yaml.safe_load(Path(path).read_text())
chosen = chosen_threshold(settings["threshold"] if params.threshold is None else params.threshold, candidates["score"])
thresholds = threshold_grid(chosen, candidates["score"].to_numpy(float))

files = {kind: files_of(kind) for kind in ("image", "probability", "label")}
names = list(files["image"])
diameter_px = angstrom_to_px(params.diameter_angstrom, params.pixel_size)
found = picked_micrographs(candidates, truth, names, parts, diameter_px=diameter_px)
counts = with_outliers(pick_counts(found, chosen))
outliers = set(counts.loc[counts["outlier"], "micrograph"])
on_sheet = chosen_for_view(names, parts, outliers, share_of_run(len(names), params.n_previews, MAX_SHEET))
viewed = chosen_for_view(on_sheet, parts, outliers, share_of_run(len(names), params.n_previews, MAX_VIEWED))
sheet, views = [], []
for row in counts[counts["micrograph"].isin(on_sheet)].itertuples():
    name = row.micrograph
    about = {"name": name, "part": parts.get(name)}
    image = read_array(files["image"][name], "image", name)
    picture = thumbnail(image, diameter_angstrom=params.diameter_angstrom)
    place = len(views) if name in viewed else None
    sheet.append(
        about | {"n_picks": int(row.n_picks), "outlier": bool(row.outlier), "view": place, "thumbnail": picture}
    )
    if name in viewed:
        side_px = preview_side(params.n_previews)
        maps = array("probability", name), array("label", name)
        view = micrograph_view(found[name], image, *maps, diameter_angstrom=params.diameter_angstrom, side_px=side_px)
        views.append(about | view)
        log.info("%s: %d candidates, %d picks", name, len(found[name].candidates), row.n_picks)

star = read_blocks(given.particles)
particles = sampled_particles(given.stacks, AVERAGED)
stack_pixel_size = float(star["optics"]["rlnImagePixelSize"].iloc[0])
data = {
    "labelled": labelled,
    "finder": {key: settings[key] for key in ("finder", "e", "s") if key in settings},
    "n_micrographs": len(names),
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
    "quarantine": table_rows(table(given.quarantine)),
    "dropped": table_rows(table(given.dropped)),
    "scores": {key: table_rows(table(given[key])) for key in ("picks", "pixels") if key in given.keys()},
    "figures": {Path(path).stem: png_file_uri(path) for path in given.plots}
    | {
        "scores": figure_uri(score_histogram(score_groups(found), threshold=chosen)),
        "picks_per_micrograph": figure_uri(picks_per_micrograph(counts)),
    }
    | particle_figures(particles, diameter_px=params.diameter_angstrom / stack_pixel_size),
}
Path(snakemake.output[0]).write_text(json.dumps(data, allow_nan=False))
