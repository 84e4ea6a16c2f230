"""One JSON file per micrograph: picks, sizes, shares of classes, verdict.

``python -m crisp_core.evaluation.summaries`` writes the JSON schema of these files to `PATH`.
"""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from pydantic import ConfigDict

from crisp_core.formats.relion_labels import JUNK_DISTANCE_LABEL, SHAPE_LABELS
from crisp_core.sections import Described

PATH = Path(__file__).parents[2] / "docs/micrograph.schema.json"
# Columns of picks, in the order of the fields of `PickLists`.
PICK_COLUMNS = ("x", "y", "score", *SHAPE_LABELS, JUNK_DISTANCE_LABEL)
DIGITS = 6
Verdict = Literal["good", "doubtful", "bad"]
SHARES = ("particle", "contaminant", "carbon", "empty")
NO_VERDICT = "no verdict: the picks are of another program"
NOT_MEASURED = "no verdict: the micrograph was not measured; see quarantine.tsv"
Numbers = list[float | None]


class Part(Described):
    """Part of the file: all fields are there, and no others."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class PickLists(Part):
    """Picks as lists of the same length, in the order of the star files; null where a value is unknown."""

    x: Numbers
    """Centre, in px of the micrograph, from the centre of the first pixel of a row."""
    y: Numbers
    """Centre, in px of the micrograph, from the first row of the file."""
    score: Numbers
    """Score."""
    diameter_angstrom: Numbers
    """Diameter of the circle with the area of the outline, Å."""
    long_axis_angstrom: Numbers
    """Long axis of the outline, Å."""
    short_axis_angstrom: Numbers
    """Short axis of the outline, Å."""
    angle_deg: Numbers
    """In-plane angle of the long axis, in degrees, in the sense of rlnAnglePsi."""
    solidity: Numbers
    """Share of its convex hull that the outline fills."""
    mean_probability: Numbers
    """Mean probability in the outline."""
    at_edge: Numbers
    """1 if the edge of the micrograph cuts the outline, otherwise 0."""
    junk_distance_angstrom: Numbers
    """Distance to the nearest predicted contaminant or carbon, Å; at most the diagonal of the micrograph."""


class Shares(Part):
    """Shares of the valid area by predicted class; null for a class that the network does not have."""

    particle: float | None
    """Share of particles."""
    contaminant: float | None
    """Share of contaminants."""
    carbon: float | None
    """Share of carbon or film."""
    empty: float | None
    """Share of background."""


class MicrographSummary(Part):
    """Picks of one micrograph and the verdict on it."""

    format: Literal["crisp-micrograph-1"] = "crisp-micrograph-1"
    """Name and version of this format."""
    micrograph: str
    """Name of the micrograph: its file without folder and suffix."""
    file: str
    """File of the micrograph, as the star files name it."""
    shape_px: tuple[int, int]
    """Height and width of the micrograph, in px."""
    pixel_size: float
    """Pixel size, in Å/px."""
    particle_diameter_angstrom: float
    """Particle diameter of the config, in Å."""
    n_picks: int
    """Number of picks."""
    picks: PickLists
    """All picks; there is no limit to their number."""
    n_dropped: dict[str, int]
    """Number of picks that each rule removed, by reason."""
    shares: Shares
    """Shares of the area by predicted class."""
    verdict: Verdict | None
    """Verdict on the micrograph; null where there is none."""
    reason: str
    """Reason of the verdict in words; empty for a good micrograph."""


def write_summaries(
    directory: Path,
    micrographs: pd.DataFrame,
    picks: pd.DataFrame,
    dropped: pd.DataFrame,
    curation: pd.DataFrame | None,
    *,
    sizes: Mapping[str, float],
) -> None:
    """Write `<micrograph>.json` for every micrograph, also for those without a pick.

    Parameters
    ----------
    directory : Path
        Folder to make.
    micrographs : DataFrame
        Columns micrograph, star_path, height, width (px).
    picks : DataFrame
        Picks of all micrographs: columns micrograph, x, y, score, and sizes and shapes where they were measured.
    dropped : DataFrame
        Removed picks: columns micrograph, reason.
    curation : DataFrame or None
        Table of the verdicts, one row per micrograph; None where the picks are of another program.
    sizes : mapping of str to float
        pixel_size (Å/px) of the micrographs and diameter_angstrom of the particle.
    """
    directory.mkdir(parents=True, exist_ok=True)
    found, removed = (dict(list(table.groupby("micrograph", sort=False))) for table in (picks, dropped))
    verdicts = {} if curation is None else {row["micrograph"]: row for row in curation.to_dict("records")}
    unknown = {"reason": NO_VERDICT if curation is None else NOT_MEASURED}
    for row in micrographs.to_dict("records"):
        name = row["micrograph"]
        own = found.get(name, picks.iloc[:0])
        reasons = removed.get(name, dropped.iloc[:0])["reason"].value_counts()
        summary = MicrographSummary(
            micrograph=name,
            file=row["star_path"],
            shape_px=(int(row["height"]), int(row["width"])),
            pixel_size=sizes["pixel_size"],
            particle_diameter_angstrom=sizes["diameter_angstrom"],
            n_picks=len(own),
            picks=pick_lists(own),
            n_dropped={str(reason): int(n) for reason, n in reasons.items()},
            **judged(verdicts.get(name, unknown)),
        )
        (directory / f"{name}.json").write_text(summary.model_dump_json(indent=1) + "\n")


def pick_lists(picks: pd.DataFrame) -> PickLists:
    """Picks of one micrograph as lists; columns that the table does not have are null throughout."""
    columns = [_numbers(picks[name] if name in picks else [math.nan] * len(picks)) for name in PICK_COLUMNS]
    return PickLists(**dict(zip(PickLists.model_fields, columns, strict=True)))


def _numbers(values: Sequence[float] | pd.Series) -> Numbers:
    """Numbers with six significant digits; None for those that are missing or not finite."""
    numbers = np.asarray(values, dtype=float)
    return [float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None for value in numbers]


def judged(row: Mapping[str, Any]) -> dict[str, Any]:
    """Shares, verdict and reason of a row of curation.tsv; None for what it does not have."""
    shares = dict(zip(SHARES, _numbers([row.get(f"{name}_share", math.nan) for name in SHARES]), strict=True))
    verdict, reason = row.get("verdict"), row.get("reason")
    return {
        "shares": Shares(**shares),
        "verdict": verdict if verdict in get_args(Verdict) else None,
        "reason": "" if pd.isna(reason) else str(reason),
    }


def schema_text() -> str:
    """Text of the file with the JSON schema (draft 2020-12)."""
    schema = MicrographSummary.model_json_schema(mode="serialization")
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}, indent=1) + "\n"


if __name__ == "__main__":
    PATH.write_text(schema_text())
