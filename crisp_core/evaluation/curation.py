"""Quality of micrographs: measures of the image, its classes and its picks, and a verdict from thresholds."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy

from crisp_core.classes import BACKGROUND, CARBON, CLASSES, CONTAMINANT, PARTICLE
from crisp_core.evaluation.image_quality import IMAGE_MEASURES, image_measures
from crisp_core.evaluation.settings import VERDICTS, CurationSettings
from crisp_core.formats.arrays import Grid

GOOD, DOUBTFUL, BAD = VERDICTS
CTF_COLUMNS = ("ctf_resolution_angstrom", "ctf_figure_of_merit", "defocus_angstrom", "astigmatism_angstrom")
MEASURES = (
    *("particle_share", "contaminant_share", "carbon_share", "empty_share", *IMAGE_MEASURES, "dark_per_particle"),
    *("ice_ring", "n_picks", "picks_per_um2", "picked_share", "median_score", "aggregation", *CTF_COLUMNS),
)


def class_shares(label: np.ndarray, valid: np.ndarray, classes: Sequence[str]) -> dict[str, float]:
    """Shares of the valid area by class; NaN for a class that the network does not have.

    Parameters
    ----------
    label : (h, w) integer array
        Predicted class of each pixel, by its number in the registry.
    valid : (h, w) bool array
        Valid area.
    classes : sequence of str
        Names of the network's classes.
    """
    inside = np.asarray(label)[np.asarray(valid, dtype=bool)]
    numbers = {"particle": PARTICLE, "contaminant": CONTAMINANT, "carbon": CARBON, "empty": BACKGROUND}
    return {
        f"{name}_share": float(np.mean(inside == number)) if CLASSES[number] in classes and inside.size else np.nan
        for name, number in numbers.items()
    }


def pick_measures(picks: pd.DataFrame, *, area_px: float, diameter_px: float, pixel_size: float) -> dict[str, float]:
    """Number, density, median score and aggregation of a micrograph's picks.

    Parameters
    ----------
    picks : DataFrame
        Columns x, y (px) and score.
    area_px : float
        Valid area of the micrograph, in px².
    diameter_px : float
        Particle diameter in px of the micrograph.
    pixel_size : float
        Å/px of the micrograph.

    Returns
    -------
    dict
        ``picked_share`` is the area of the picks' discs relative to the valid area, ``aggregation`` the share of picks
        that are nearer than a diameter to another pick.
    """
    n, area_um2 = len(picks), area_px * (pixel_size * 1e-4) ** 2
    near = 0.0
    if n > 1:
        xy = picks[["x", "y"]].to_numpy(float)
        near = float(np.mean(scipy.spatial.KDTree(xy).query(xy, k=2)[0][:, 1] < diameter_px))
    return {
        "n_picks": n,
        "picks_per_um2": n / area_um2 if area_px else np.nan,
        "picked_share": n * np.pi * (diameter_px / 2) ** 2 / area_px if area_px else np.nan,
        "median_score": float(picks["score"].median()) if n else np.nan,
        "aggregation": near,
    }


def measure_micrograph(
    image: np.ndarray,
    valid: np.ndarray,
    label: np.ndarray,
    picks: pd.DataFrame,
    *,
    classes: Sequence[str],
    grid: Grid,
    diameter_angstrom: float,
) -> dict[str, float]:
    """All measures of a micrograph that come from its prepared image, its classes and its picks.

    Parameters
    ----------
    image, valid, label : (h, w) arrays
        Prepared micrograph, its valid area, and the predicted class of each pixel by its number in the registry.
    picks : DataFrame
        Columns x, y (px of the full micrograph) and score.
    classes : sequence of str
        Names of the network's classes.
    grid : Grid
        Shape and pixel size of the prepared micrograph, and the full shape.
    diameter_angstrom : float
        Particle diameter in Å.
    """
    valid = np.asarray(valid, dtype=bool)
    scale = np.prod(grid.full_shape) / np.prod(grid.shape)
    pixel_size = grid.pixel_size / np.sqrt(scale)
    of_image = image_measures(
        image, valid, diameter_px=diameter_angstrom / grid.pixel_size, particle=np.asarray(label) == PARTICLE
    )
    of_picks = pick_measures(
        picks,
        area_px=float(valid.sum() * scale),
        diameter_px=diameter_angstrom / pixel_size,
        pixel_size=pixel_size,
    )
    picked = of_picks["picked_share"]
    per_particle = of_image["dark_share"] / picked if picked else np.nan
    return {**class_shares(label, valid, classes), **of_image, "dark_per_particle": per_particle, **of_picks}


class Rule(NamedTuple):
    """Rule of the verdict.

    Attributes
    ----------
    measure, setting : str
        Column of curation.tsv, and setting with its pair of thresholds.
    too_low : bool
        Whether low values are refused, not high ones.
    kind : str
        Kind of micrograph that the rule finds.
    words : str
        Reason, with the value.
    applies : callable
        Whether the rule counts, by the measures and the settings; always by default.
    worst : str
        Worst verdict of the rule.
    """

    measure: str
    setting: str
    too_low: bool
    kind: str
    words: str
    applies: Callable[[Mapping[str, float], CurationSettings], bool] = lambda measures, settings: True
    worst: str = BAD


def is_patchy(measures: Mapping[str, float], settings: CurationSettings) -> bool:
    """Whether blotches are in some places only: crystalline ice is everywhere, aggregates and cracks are not."""
    return bool(measures.get("patchiness", np.nan) > settings.patchiness_max)


def is_even(measures: Mapping[str, float], settings: CurationSettings) -> bool:
    """Whether blotches are everywhere."""
    return not is_patchy(measures, settings)


def has_structure(measures: Mapping[str, float], settings: CurationSettings) -> bool:
    """Whether waves of a particle's size are so strong that particles may have been overlooked."""
    limit = settings.overlooked_signal_min
    return limit is not None and bool(measures.get("ice_signal", np.nan) >= limit)


def has_no_structure(measures: Mapping[str, float], settings: CurationSettings) -> bool:
    """Whether there is no sign of overlooked particles."""
    return not has_structure(measures, settings)


def is_sparse(measures: Mapping[str, float], settings: CurationSettings) -> bool:
    """Whether few particles were found; many prove that there is ice, also in the white noise of a simulation."""
    # without a rule of its own, the share still decides whether there is ice
    limits = settings.picked_share_min or CurationSettings.model_fields["picked_share_min"].default
    return not bool(measures.get("picked_share", np.nan) >= limits[0])


# the first rule that a micrograph breaks gives its kind, so kinds that make other measures meaningless come first
RULES = (
    *(
        Rule("mottle", "mottle_max", False, kind, f"{words}: coarse / fine contrast {{value:.2f}}", applies)
        for kind, words, applies in (
            ("contaminated", "aggregates, cracks or contaminants in some places", is_patchy),
            ("crystalline ice", "blotches everywhere, as of crystalline ice", is_even),
        )
    ),
    Rule("ice_ring", "ice_ring_max", False, "crystalline ice", "ring of crystalline ice: {value:.2f} at 3.7 Å"),
    Rule("ice_signal", "ice_signal_min", True, "no ice", "no ice: ice / counting noise {value:.2f}", is_sparse),
    *(
        Rule("picked_share", "picked_share_min", True, kind, f"{words}: picks cover {{value:.2%}} of the area", *more)
        for kind, words, more in (
            ("no particles", "few particles", (has_no_structure,)),
            ("no particles", "few picks, but strong structure; check the diameter", (has_structure, DOUBTFUL)),
        )
    ),
    Rule(
        *("dark_per_particle", "dark_per_particle_max", False, "contaminated"),
        "contaminants: dark objects cover {value:.2f} times the area of the picks",
    ),
    Rule(
        *("contaminant_share", "contaminant_share_max", False, "contaminated"),
        "contaminants cover {value:.0%} of the area",
    ),
    Rule("carbon_share", "carbon_share_max", False, "carbon", "carbon or film covers {value:.0%} of the area"),
    Rule("ice_gradient", "ice_gradient_max", False, "uneven ice", "uneven ice: slow / fine contrast {value:.2f}"),
    Rule("direction", "direction_max", False, "drift", "drift or directed blur: direction of the power {value:.2f}"),
    Rule("aggregation", "aggregation_max", False, "aggregated", "{value:.0%} of the picks touch another pick"),
    Rule("median_score", "median_score_min", True, "weak picks", "weak picks: median score {value:.2f}"),
    Rule("ctf_resolution_angstrom", "ctf_resolution_max", False, "CTF", "CTF fits to {value:.1f} Å only"),
    Rule("ctf_figure_of_merit", "ctf_figure_of_merit_min", True, "CTF", "poor CTF fit: figure of merit {value:.3g}"),
    Rule("defocus_angstrom", "defocus_min", True, "CTF", "defocus {value:.0f} Å"),
    Rule("defocus_angstrom", "defocus_max", False, "CTF", "defocus {value:.0f} Å"),
    Rule("astigmatism_angstrom", "astigmatism_max", False, "CTF", "astigmatism {value:.0f} Å"),
)


class Verdict(NamedTuple):
    """Verdict on a micrograph: good, doubtful or bad; its kind, empty if it is good; its reasons, the worst first."""

    verdict: str
    kind: str
    reason: str


def judge(measures: Mapping[str, float], settings: CurationSettings) -> Verdict:
    """Verdict on a micrograph with its kind and its reasons in words; a measure that is NaN gives no reason.

    Parameters
    ----------
    measures : mapping of str to float
        Measures by name, as in curation.tsv.
    settings : CurationSettings
        Thresholds: pairs of a doubtful and a bad value; None turns a rule off.
    """
    found: dict[str, list[tuple[str, str]]] = {BAD: [], DOUBTFUL: []}
    for rule in RULES:
        value = measures.get(rule.measure, np.nan)
        verdict = verdict_of_rule(rule, value, getattr(settings, rule.setting))
        if verdict != GOOD and rule.applies(measures, settings):
            found[verdict].append((rule.kind, rule.words.format(value=value)))
    reasons = found[BAD] + found[DOUBTFUL]
    verdict = next((name for name, broken in found.items() if broken), GOOD)
    return Verdict(verdict, reasons[0][0] if reasons else "", "; ".join(words for _, words in reasons))


def verdict_of_rule(rule: Rule, value: float, bounds: Sequence[float] | None) -> str:
    """Verdict of one rule, whether or not it applies.

    Parameters
    ----------
    rule : Rule
        One of `RULES`.
    value : float
        Its measure.
    bounds : (float, float) or None
        Values from which a micrograph is doubtful, and bad; None turns the rule off.
    """
    if bounds is None or pd.isna(value):
        return GOOD
    doubtful, bad = (value < bound if rule.too_low else value > bound for bound in bounds)
    return rule.worst if bad else DOUBTFUL if doubtful else GOOD


def add_verdicts(table: pd.DataFrame, settings: CurationSettings) -> pd.DataFrame:
    """Add columns after the first to a table of measures with one row per micrograph: verdict, kind, reason, excluded.

    `excluded` is the reason why a micrograph is excluded from the extraction; it is empty for the others.
    """
    judged = table.copy()
    verdicts = [judge(row, settings) for row in table.to_dict("records")]
    names = table["micrograph"].tolist()
    columns = {name: [getattr(each, name) for each in verdicts] for name in Verdict._fields}
    columns["excluded"] = [exclusion(name, each.verdict, settings) for name, each in zip(names, verdicts, strict=True)]
    for position, (column, values) in enumerate(columns.items(), start=1):
        judged.insert(position, column, pd.Series(values, index=table.index, dtype="str"))
    return judged


def exclusion(name: str, verdict: str, settings: CurationSettings) -> str:
    """Reason why a micrograph is excluded from the extraction; empty if it is not. Lists of names override verdicts.

    Parameters
    ----------
    name : str
        Name of the micrograph.
    verdict : str
        Its verdict; empty for another program's picks, which have none.
    settings : CurationSettings
        Excluded verdicts, and lists of names.
    """
    if name in settings.exclude_micrographs:
        return "listed in exclude_micrographs"
    if name in settings.keep_micrographs or verdict not in settings.exclude:
        return ""
    return f"verdict {verdict}"
