"""Facts about the micrographs of the contact sheet: verdict, its reason and shares; and masks of the viewer."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageColor

from crisp_core.classes import AVOIDED
from crisp_core.geometry import Shape
from crisp_core.report.previews import data_uri

# Orders of the sheet by column of the tables, with their names; the first click on one puts the largest first.
ORDERS = {
    "n_picks": "number of picks",
    "particle_share": "share of particles",
    "contaminant_share": "share of contaminants",
    "carbon_share": "share of carbon",
    "empty_share": "share of empty area",
    "median_score": "median score",
}


def sheet_facts(curation: Mapping[str, Sequence] | None) -> dict[str, dict[str, Any]]:
    """Row of curation.tsv of each micrograph by column; empty without verdicts.

    Parameters
    ----------
    curation : mapping or None
        Table of the verdicts as columns and rows, as the page has it.
    """
    if curation is None:
        return {}
    rows = [dict(zip(curation["columns"], row, strict=True)) for row in curation["rows"]]
    return {row["micrograph"]: row for row in rows}


def sheet_orders(facts: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Orders for which some micrograph has a value, with their names; the number of picks is always one."""
    known = {key for row in facts.values() for key, value in row.items() if value is not None}
    return {key: text for key, text in ORDERS.items() if key == "n_picks" or key in known}


def junk_uri(classes: np.ndarray, shape: Shape) -> str | None:
    """Contaminants and carbon as a transparent picture in their colours; None where there are none.

    Parameters
    ----------
    classes : (h, w) array
        Predicted class of each pixel, by its number in the registry.
    shape : (int, int)
        Height and width of the picture, in px.
    """
    rows, columns = (np.arange(n) * side // n for n, side in zip(shape, np.shape(classes), strict=True))
    small = np.asarray(classes)[rows][:, columns]
    numbers = np.zeros(shape, np.uint8)
    palette = [0, 0, 0]
    for i, each in enumerate(AVOIDED, start=1):
        numbers[small == each.number] = i
        palette += ImageColor.getrgb(each.color)
    if not numbers.any():
        return None
    picture, stream = Image.fromarray(numbers, mode="P"), io.BytesIO()
    picture.putpalette(palette)
    picture.save(stream, "PNG", optimize=True, transparency=0)
    return data_uri("image/png", stream.getvalue())
