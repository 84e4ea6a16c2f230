"""Data of a run's page, from the files of the run."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from crisp_core.figures.pick_counts import draw_pick_counts
from crisp_core.figures.score_histogram import draw_score_histogram
from crisp_core.formats.centers import read_centers
from crisp_core.formats.relion_coordinates import read_coordinates_stars
from crisp_core.formats.star import read_blocks
from crisp_core.formats.tables import read_table
from crisp_core.picking.finders import finder_of_file
from crisp_core.report.picked import (
    Picked,
    chosen_threshold,
    fill_missing_scores,
    mark_outliers,
    pick_counts,
    pooled_counts,
    score_groups,
    threshold_grid,
)
from crisp_core.report.previews import figure_uri, png_file_uri
from crisp_core.report.sheet import sheet_and_views
from crisp_core.report.tables import counts_by_reason, table_rows
from crisp_core.report.view import draw_particle_figures, sample_particles

# particles in the mean image and the montage
AVERAGED = 500


def read_candidates(paths: Iterable[str]) -> pd.DataFrame:
    """Read the candidates of all batches; those without a score get one."""
    return fill_missing_scores(read_coordinates_stars(paths))


def centers_of(paths: str | Sequence[str]) -> dict[str, Any]:
    """Finder and threshold of a run from its centers.yaml or threshold.yaml; without a file, no threshold."""
    settings: dict[str, Any] = {"threshold": None}
    for path in [paths] if isinstance(paths, str) else paths:
        settings = read_centers(path)
    return settings


def read_tables(paths: Mapping[str, Sequence[str]]) -> dict[str, dict[str, list]]:
    """Read tab-separated tables by name, the files of a name one after the other, for the template."""
    tables = {}
    for name, files in paths.items():
        parts = [read_table(path) for path in files]
        filled = [part for part in parts if len(part)] or parts[:1]
        tables[name] = table_rows(pd.concat(filled, ignore_index=True))
    return tables


def removal_warning(dropped: Mapping[str, list], *, n_picks: int) -> str | None:
    """Warning where a rule of `removal` took more picks than the `n_picks` that are left; None otherwise.

    Parameters
    ----------
    dropped : mapping
        Table of dropped picks, of `read_tables`.
    n_picks : int
        Number of picks of the run.
    """
    stage = dropped["columns"].index("stage")
    counts = counts_by_reason({**dropped, "rows": [row for row in dropped["rows"] if row[stage] == "picking"]})
    if not counts or counts[0][1] <= n_picks:
        return None
    reason, n = counts[0]
    return (
        f"{n:,} picks were removed ({reason}), and {n_picks:,} are left. The network may take "
        "particles for something else: look at the dropped picks in the viewer; if they are particles, change removal."
    )


def click_labels(paths: Sequence[str], *, diameter_angstrom: float) -> dict[str, Any]:
    """Read the tables of labels from clicks: counts of micrographs, their mean diameter in Å, and those with discs.

    `diameter_angstrom` is the longest extent of the particle, in Å, by the config.
    """
    table = pd.concat([read_table(path) for path in paths], ignore_index=True)
    discs = table["discs"].fillna("") != ""
    diameters = table.loc[~discs, "equivalent_diameter_angstrom"].dropna()
    return {
        "n_outlined": int((~discs).sum()),
        "n_discs": int(discs.sum()),
        "diameter_angstrom": float(diameters.mean()) if len(diameters) else None,
        "given_angstrom": diameter_angstrom,
        "discs": table_rows(table.loc[discs, ["micrograph", "discs"]]),
    }


def picks_data(
    found: Mapping[str, Picked],
    files: Mapping[str, Mapping[str, str]],
    parts: Mapping[str, str],
    centers: Mapping[str, Any],
    *,
    given_threshold: float | str | None,
    scores: np.ndarray,
    diameter_angstrom: float,
    pixel_size: float,
    n_previews: int,
    suggested: Collection[str] = (),
) -> dict[str, Any]:
    """Contact sheet, viewer, counts and figures of the picks of a run.

    Parameters
    ----------
    found : mapping of micrograph to Picked
        Candidates and known particles, matched.
    files : mapping of kind to mapping of micrograph to file
        Kinds image, probability, label and class.
    parts : mapping of micrograph to part of the split
    centers : mapping
        Finder and threshold of the run, of `centers_of`.
    given_threshold : float, str or None
        Threshold of the config; None takes that of `centers`.
    scores : (n,) array
        Scores of all candidates.
    diameter_angstrom : float
        Longest extent of the particle, in Å.
    pixel_size : float
        Å/px of the micrographs.
    n_previews : int
        Planned number of micrographs, which decides the size of the previews.
    suggested : collection of str
        Micrographs of which the network is unsure.
    """
    chosen = chosen_threshold(centers["threshold"] if given_threshold is None else given_threshold, scores)
    thresholds = threshold_grid(chosen, scores)
    counts = mark_outliers(pick_counts(found, chosen))
    sheet, views = sheet_and_views(
        found, counts, files, parts, diameter_angstrom=diameter_angstrom, n_previews=n_previews, suggested=suggested
    )
    return {
        "finder": str(finder_of_file(centers)) if "finder" in centers else "",
        "n_micrographs": len(counts),
        "n_picks": int(counts["n_picks"].sum()),
        "sheet": sheet,
        "outliers": table_rows(counts[counts["outlier"]].drop(columns="outlier")),
        "viewer": {
            "thresholds": thresholds.tolist(),
            "chosen": chosen,
            "pixel_size": pixel_size,
            "pooled": pooled_counts(found, parts, thresholds),
            "micrographs": views,
        },
        "figures": {
            "scores": figure_uri(draw_score_histogram(score_groups(found), threshold=chosen)),
            "picks_per_micrograph": figure_uri(draw_pick_counts(counts)),
        },
    }


def particles_data(star_path: str | None, stacks: Sequence[str], *, diameter_angstrom: float) -> dict[str, Any]:
    """Number of extracted particles, with the figures of some of them; None where the run extracts none.

    Parameters
    ----------
    star_path : str or None
        Star file of all particles; None where the run extracts none.
    stacks : sequence of str
        Particle stacks of all batches.
    diameter_angstrom : float
        Longest extent of the particle, in Å.
    """
    if star_path is None:
        return {"n_particles": None, "n_averaged": 0, "figures": {}}
    star: Mapping[str, Any] = read_blocks(star_path)
    particles = sample_particles(stacks, AVERAGED)
    diameter_px = diameter_angstrom / float(star["optics"]["rlnImagePixelSize"].iloc[0])
    return {
        "n_particles": len(star["particles"]),
        "n_averaged": len(particles),
        "figures": draw_particle_figures(particles, diameter_px=diameter_px),
    }


def plot_figures(paths: Iterable[str]) -> dict[str, str]:
    """Plots of a run as data URIs, by the name of their figure."""
    return {Path(path).stem: png_file_uri(path) for path in paths}
