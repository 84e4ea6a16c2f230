"""EMAN's files: boxes as text (`.box`), and EMAN2's `info/<stem>_info.json`."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd

from crisp_core.errors import UserError
from crisp_core.formats.coordinates.checks import check_box_sides, not_single_particles
from crisp_core.formats.coordinates.format import CoordinateFormat
from crisp_core.formats.coordinates.table import NO_SCORE, coordinates_table
from crisp_core.formats.coordinates.text_tables import column_of_numbers, read_rows, score_column, write_table
from crisp_core.formats.text import read_text

# Marks in the fifth column of a box file that are not scores: the two ends of a helix, and a box of none.
HELIX_ENDS = (-1.0, -2.0)
BOX_MARKS = (*HELIX_ENDS, -3.0, 0.0, NO_SCORE)
# Beyond any image, and within the range of a float.
LARGEST_NUMBER = 1e300


def read_box(path: Path, stem: str) -> pd.DataFrame:
    """Read boxes: x, y of the corner, width, height and perhaps a score in each line."""
    lines = read_text(path).splitlines()
    first = next((line.split() for line in lines if line.strip()), [""] * 4)
    if len(first) not in (4, 5):
        raise UserError(
            f"{path}: its first line has {len(first)} columns, an EMAN box has 4 or 5 (x y width height score); "
            "export the boxes again"
        )
    columns = ["x", "y", "width", "height", "score"][: len(first)]
    table = read_rows(path, lines, None, columns, first=1)
    x, y, width, height = (column_of_numbers(path, table, column) for column in columns[:4])
    check_box_sides(path, width, height)
    score = score_column(path, table)
    if score is not None and set(HELIX_ENDS) <= set(score) <= set(BOX_MARKS):
        raise not_single_particles(path, "its fifth column is −1 and −2, the two ends of a helix")
    return coordinates_table([stem] * len(table), x + width / 2, y + height / 2, score)


def write_box(path: Path, table: pd.DataFrame, size_px: float) -> None:
    """Write boxes; their corners and sides are integers, so a centre moves by up to half a pixel.

    Parameters
    ----------
    path : Path
        File to write.
    table : pd.DataFrame
        Columns micrograph, x, y, score.
    size_px : float
        Side of the boxes in pixels.
    """
    side, score = round(size_px), table["score"].to_numpy(dtype=float)
    x, y = (np.rint(table[column].to_numpy(dtype=float) - side / 2).astype(int) for column in ("x", "y"))
    columns = {"x": x, "y": y, "width": side, "height": side}
    scores = {"score": np.where(np.isnan(score), NO_SCORE, score)} if np.isfinite(score).any() else {}
    write_table(path, columns | scores, separator="\t", header=False, n_rows=len(table))


def read_json(path: Path, stem: str) -> pd.DataFrame:
    """Read the boxes of an `_info.json`: [x, y, kind, score …], with the centre of each."""
    boxes = _json_boxes(path)
    for number, box in enumerate(boxes, start=1):
        if not (isinstance(box, list) and len(box) > 2 and all(map(_is_number, box[:2])) and isinstance(box[2], str)):
            raise UserError(f'{path}: box {number} is not of the form [x, y, "kind", …]; box the particles in 2D again')
    scores = [box[3] if len(box) > 3 and _is_number(box[3]) else np.nan for box in boxes]
    x, y = ([box[axis] for box in boxes] for axis in (0, 1))
    return coordinates_table([stem] * len(boxes), np.array(x, float), np.array(y, float), np.array(scores, float))


def write_json(path: Path, table: pd.DataFrame, size_px: float) -> None:
    """Write boxes as e2boxer does: with a score as its neural network's, without a score as boxed by hand.

    Parameters
    ----------
    path : Path
        File to write.
    table : pd.DataFrame
        Columns micrograph, x, y, score.
    size_px : float
        Not used: the format has no size.
    """
    rows = table[["x", "y", "score"]].astype(float).itertuples(index=False)
    boxes = [[x, y, "manual"] if math.isnan(score) else [x, y, "auto_convnet", score] for x, y, score in rows]
    path.write_text(json.dumps({"boxes": boxes}) + "\n", encoding="utf-8", newline="\n")


def _json_boxes(path: Path) -> list:
    try:
        content = json.loads(read_text(path))
        if isinstance(content, dict) and content.get("boxes_3d") and not content.get("boxes"):
            raise not_single_particles(path, 'its boxes are "boxes_3d", those of a tomogram')
        boxes = content["boxes"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UserError(
            f'{path}: is not a JSON file with "boxes"; give an _info.json of EMAN2 with boxed particles'
        ) from None
    return boxes if isinstance(boxes, list) else [boxes]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST_NUMBER


EMAN = CoordinateFormat(
    name="eman",
    description="`.box` of EMAN",
    suffixes=(".box",),
    read=read_box,
    write=write_box,
    needs_size=True,
    position="corner, whole pixels",
    score="fifth column",
    rounding_px=0.5,
)
EMAN_JSON = CoordinateFormat(
    name="eman-json",
    description="`info/<stem>_info.json` of EMAN2, boxes in 2D",
    suffixes=(".json",),
    read=read_json,
    write=write_json,
    score="fourth value of a box",
    rounding_px=0,
)
