"""Contact sheet of a run, and micrographs of its viewer."""

import logging
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from crisp_core.formats.arrays import array_names, read_array
from crisp_core.report.limits import MAX_SHOWN
from crisp_core.report.picked import Picked
from crisp_core.report.previews import choose_micrographs, preview_side
from crisp_core.report.view import draw_thumbnail, micrograph_view

log = logging.getLogger("crisp")


def files_by_name(paths: Iterable[str], kind: str) -> dict[str, str]:
    """Return the file of every micrograph that has an array of a kind."""
    return {name: path for path in paths for name in array_names(path, kind)}


def sheet_and_views(
    found: Mapping[str, Picked],
    counts: pd.DataFrame,
    files: Mapping[str, Mapping[str, str]],
    parts: Mapping[str, str],
    *,
    diameter_angstrom: float,
    n_previews: int,
    suggested: Collection[str] = (),
) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """Return the data of the contact sheet and of the viewer, for a selection if there are too many micrographs.

    Parameters
    ----------
    found : mapping of micrograph to Picked
        Matched candidates.
    counts : DataFrame
        Result of `picked.mark_outliers`.
    files : mapping of kind to mapping of micrograph to file
        Results of `files_by_name` for the kinds image, probability, label and class.
    parts : mapping of micrograph to part
        Parts of the split.
    diameter_angstrom : float
        Particle diameter, Å.
    n_previews : int
        Planned number of micrographs, which decides the size of the previews.
    suggested : collection of str
        Micrographs of which the network is unsure, which the page shows before all others.
    """
    names, outliers = counts["micrograph"].tolist(), set(counts.loc[counts["outlier"], "micrograph"])
    shown = choose_micrographs(names, parts, outliers, MAX_SHOWN, suggested)
    n_picks = dict(zip(names, counts["n_picks"].tolist(), strict=True))
    sheet: list[dict[str, Any]] = []
    views: list[dict[str, Any]] = []
    for place, name in enumerate(shown):
        about = {"name": name, "part": parts.get(name)}
        image = read_array(files["image"][name], "image", name)
        facts = {"n_picks": n_picks[name], "outlier": name in outliers, "view": place}
        sheet.append(about | facts | {"thumbnail": draw_thumbnail(image, diameter_angstrom=diameter_angstrom)})
        maps = [_data(files[kind], kind, name) for kind in ("probability", "label")]
        classes = _data(files.get("class", {}), "class", name)
        sizes: dict[str, Any] = {"diameter_angstrom": diameter_angstrom, "side_px": preview_side(n_previews)}
        views.append(about | micrograph_view(found[name], image, *maps, classes=classes, **sizes))
        log.info("%s: %d candidates, %d picks", name, len(found[name].candidates), n_picks[name])
    return sheet, views


def _data(files: Mapping[str, str], kind: str, name: str) -> np.ndarray | None:
    return read_array(files[name], kind, name).data if name in files else None
