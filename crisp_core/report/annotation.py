"""Page on which a person marks particles on micrographs without any picks, in the viewer's correction mode."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pandas as pd

from crisp_core.formats.arrays import read_array
from crisp_core.report.page import SCRIPTS, embedded_json, find_versions, joined, template_environment
from crisp_core.report.picked import Picked
from crisp_core.report.previews import FULL_PREVIEWS, choose_micrographs, preview_side
from crisp_core.report.sheet import files_by_name
from crisp_core.report.view import micrograph_view


def annotation_views(
    images: Sequence[str], *, diameter_angstrom: float, preferred: Collection[str] = ()
) -> list[dict[str, Any]]:
    """Pictures of at most `previews.FULL_PREVIEWS` micrographs, without picks, for the viewer.

    Parameters
    ----------
    images : sequence of str
        Files of the prepared images of all batches.
    diameter_angstrom : float
        Longest extent of the particle, in Å.
    preferred : collection of str
        Micrographs that are shown in any case; the others are at equal distances in the list of all.
    """
    files = files_by_name(images, "image")
    names = choose_micrographs(list(files), {}, set(), FULL_PREVIEWS, preferred)
    nothing = Picked(pd.DataFrame({"x": [], "y": [], "score": []}, dtype=float), None)
    sizes: dict[str, Any] = {"diameter_angstrom": diameter_angstrom, "side_px": preview_side(len(names))}
    return [
        {"name": name, "part": None}
        | micrograph_view(nothing, read_array(files[name], "image", name), None, None, **sizes)
        for name in names
    ]


def render_annotation(
    views: Sequence[Mapping[str, Any]], *, run: str, pixel_size: float, n_micrographs: int, made: str
) -> str:
    """HTML of the page of annotation.

    Parameters
    ----------
    views : sequence of mapping
        Micrographs, of `annotation_views`.
    run : str
        Dataset and folder of the page, with a slash between them.
    pixel_size : float
        Å/px of the micrographs.
    n_micrographs : int
        Number of micrographs of the dataset.
    made : str
        Date and time.
    """
    dataset, experiment = run.split("/")
    viewer = {
        "name": run,
        "dataset": dataset,
        "experiment": experiment,
        "pixel_size": pixel_size,
        # there are no picks, whose number the slider could change
        "thresholds": [0.0],
        "chosen": 0.0,
        "pooled": {"all": {"n_micrographs": len(views), "n_picks": [0]}},
        "micrographs": list(views),
    }
    template = template_environment().get_template("annotate.html")
    return template.render(
        run=viewer,
        n_micrographs=n_micrographs,
        made=made,
        versions=find_versions(),
        scripts=joined(SCRIPTS),
        data=embedded_json(viewer),
    )
