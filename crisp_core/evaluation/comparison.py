"""Several pickers on the same micrographs: one scorer for all, how far they agree, and what most of them find."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree
from scipy.stats import rankdata

from crisp_core.errors import UserError
from crisp_core.evaluation.masked_area import flag_masked_picks
from crisp_core.evaluation.matching import MATCH_FRACTION, ROUNDING, match_one_to_one
from crisp_core.evaluation.pick_tables import curve_table, picks_table
from crisp_core.formats.arrays import Array

CONSENSUS = "consensus"


def common_micrographs(parts: Mapping[str, str], part: str, seen: Mapping[str, Iterable[str] | None]) -> list[str]:
    """Micrographs of a part that every entry saw, in the order of the split.

    Parameters
    ----------
    parts : mapping of micrograph to part
    part : str
    seen : mapping of entry to micrographs
        None is all of them.

    Raises
    ------
    UserError
        If there is none.
    """
    wanted = [name for name in parts if parts[name] == part]
    sets = {entry: set(names) for entry, names in seen.items() if names is not None}
    common = [name for name in wanted if all(name in names for names in sets.values())]
    if not common:
        least = min(sets, key=lambda entry: len(sets[entry] & set(wanted)), default="")
        raise UserError(
            f"no micrograph of the {part} part was seen by all entries"
            + (f"; {least} has the fewest of them, take it out or give its picks of more micrographs" if least else "")
        )
    return common


def flag_masked_entries(
    picks: Mapping[str, pd.DataFrame], valid: Iterable[tuple[str, Array]]
) -> dict[str, pd.DataFrame]:
    """`flag_masked` for the picks of every entry, in one pass over the micrographs' masks."""
    tables = pd.concat([table.assign(entry=entry) for entry, table in picks.items()], ignore_index=True)
    flagged = flag_masked_picks(tables, valid)
    return {entry: flagged[flagged["entry"] == entry].reset_index(drop=True) for entry in picks}


def score_entries(
    truth: pd.DataFrame,
    picks: Mapping[str, pd.DataFrame],
    candidates: Mapping[str, pd.DataFrame],
    micrographs: Sequence[str],
    *,
    part: str,
    diameter_px: float,
    pixel_size: float,
    seed: int = 0,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Measures and precision-recall curve of every entry, pooled over the same micrographs.

    Parameters
    ----------
    truth : DataFrame
        micrograph, x, y.
    picks, candidates : mapping of entry to DataFrame
        Picks and candidates, as in `pick_tables.picks_table`.
    micrographs : sequence of str
        Those of `common_micrographs`.
    part : str
        Their part of the split.
    diameter_px : float
        Particle diameter in the pixels of x and y.
    pixel_size : float
        Å per pixel of x and y.
    seed : int
        Of the bootstrap over micrographs.

    Returns
    -------
    tuple of DataFrame
        Column entry, then those of the row `all` of `picks_table`; and column entry, then those of `curve_table`.
    """
    parts = dict.fromkeys(micrographs, part)
    rows, curves = [], []
    for entry in picks:
        table = picks_table(
            truth,
            picks[entry],
            parts,
            candidates=candidates[entry],
            diameter_px=diameter_px,
            pixel_size=pixel_size,
            seed=seed,
        )
        pooled = table[table["micrograph"] == "all"].drop(columns="micrograph")
        rows.append(pooled.assign(entry=entry, n_micrographs=len(micrographs)))
        curves.append(curve_table(truth, candidates[entry], parts, diameter_px=diameter_px).assign(entry=entry))
    return tuple(_with_first_column(pd.concat(tables, ignore_index=True), "entry") for tables in (rows, curves))


def _with_first_column(table: pd.DataFrame, column: str) -> pd.DataFrame:
    return table[[column, *table.columns.drop(column)]]


def shares_of_matched_picks(
    picks: Mapping[str, pd.DataFrame], micrographs: Sequence[str], *, diameter_px: float
) -> pd.DataFrame:
    """Share of each entry's picks (rows) that match one of another entry's (columns), one to one within d / 2.

    Returns
    -------
    DataFrame
        (n, n), named by entry on both axes; NaN where the row's entry has no pick.
    """
    by_micrograph = {entry: _positions(table, micrographs) for entry, table in picks.items()}
    n_picks = {entry: sum(map(len, places.values())) for entry, places in by_micrograph.items()}
    shares = pd.DataFrame(np.nan, index=list(picks), columns=list(picks))
    for one, places in by_micrograph.items():
        for other, others in by_micrograph.items():
            pairs = (
                match_one_to_one(places[m], others[m], max_distance_px=diameter_px * MATCH_FRACTION)
                for m in micrographs
            )
            n_matched = sum(pair.pick.size for pair in pairs)
            if n_picks[one]:
                shares.loc[one, other] = n_matched / n_picks[one]
    return shares


def _positions(table: pd.DataFrame, micrographs: Sequence[str]) -> dict[str, np.ndarray]:
    found = {name: rows[["x", "y"]].to_numpy(float) for name, rows in table.groupby("micrograph")}
    return {name: found.get(name, np.zeros((0, 2))) for name in micrographs}


def relative_ranks(scores: np.ndarray) -> np.ndarray:
    """Ranks of scores from 0 (worst) to 1 (best), middle of its step for each; equal or no scores share theirs."""
    scores = np.nan_to_num(np.asarray(scores, dtype=float), nan=-np.inf, posinf=np.inf, neginf=-np.inf)
    return (rankdata(scores) - 0.5) / max(1, len(scores))


def consensus_picks(
    picks: Mapping[str, pd.DataFrame], micrographs: Sequence[str], *, diameter_px: float, at_least: int
) -> pd.DataFrame:
    """Picks on which at least so many entries agree.

    Picks become groups with at most one pick of each entry. Pairs of picks of different entries, at most half a
    diameter apart, are taken from the nearest to the farthest (of equals, in the order of entries and rows), and their
    two groups are joined if they have no entry in common and their mean positions lie within half a diameter.

    Parameters
    ----------
    picks : mapping of entry to DataFrame
        micrograph, x, y, score.
    micrographs : sequence of str
        Those to be looked at.
    diameter_px : float
        Particle diameter in the pixels of x and y.
    at_least : int
        Least number of entries.

    Returns
    -------
    DataFrame
        micrograph, x, y (mean of the group), score, n_entries. The score is n_entries plus the mean rank of the
        group's picks among all of their entry, which lies between 0 and 1.
    """
    ranked = [
        table[table["micrograph"].isin(micrographs)][["micrograph", "x", "y", "score"]].assign(entry=i)
        for i, table in enumerate(picks.values())
    ]
    every = pd.concat([table.assign(rank=relative_ranks(table["score"])) for table in ranked], ignore_index=True)
    every["group"] = -1
    for _, rows in every.groupby("micrograph", sort=False):
        labels = group_agreeing_picks(
            rows[["x", "y"]].to_numpy(), rows["entry"].to_numpy(), reach_px=diameter_px * MATCH_FRACTION
        )
        every.loc[rows.index, "group"] = labels
    groups = every.groupby(["micrograph", "group"], sort=True)
    table = groups[["x", "y", "rank"]].mean().assign(n_entries=groups.size()).reset_index()
    table["score"] = table["n_entries"] + table["rank"]
    order = {name: i for i, name in enumerate(micrographs)}
    table = table[table["n_entries"] >= at_least].sort_values(
        ["micrograph", "group"], key=lambda column: column.map(order) if column.name == "micrograph" else column
    )
    return table[["micrograph", "x", "y", "score", "n_entries"]].reset_index(drop=True)


def group_agreeing_picks(xy: np.ndarray, entry: np.ndarray, *, reach_px: float) -> np.ndarray:
    """Group (n,) of every pick of one micrograph, by the rule of `consensus_picks`.

    Parameters
    ----------
    xy : (n, 2) array
    entry : (n,) integer array
        Which entry each pick belongs to.
    reach_px : float
        Half a diameter.
    """
    group = np.arange(len(xy))
    members = {i: [i] for i in range(len(xy))}
    for i, j in _near_pairs_of_entries(xy, entry, reach_px):
        one, other = sorted((group[i], group[j]))
        if one == other or set(entry[members[one]]) & set(entry[members[other]]):
            continue
        gap = xy[members[one]].mean(axis=0) - xy[members[other]].mean(axis=0)
        if np.hypot(*gap) <= reach_px * (1 + ROUNDING):
            members[one] += members.pop(other)
            group[members[one]] = one
    return group


def _near_pairs_of_entries(xy: np.ndarray, entry: np.ndarray, reach_px: float) -> list[tuple[int, int]]:
    """Pairs of picks of different entries, the nearest first."""
    if len(xy) == 0:
        return []
    pairs = cKDTree(xy).query_pairs(reach_px * (1 + ROUNDING), output_type="ndarray")
    pairs = pairs[entry[pairs[:, 0]] != entry[pairs[:, 1]]]
    distances = np.hypot(*(xy[pairs[:, 0]] - xy[pairs[:, 1]]).T)
    order = np.lexsort((pairs[:, 1], pairs[:, 0], distances))
    return [tuple(pair) for pair in pairs[order].tolist()]


def comparison_table(
    scored: pd.DataFrame, facts: Mapping[str, Mapping[str, Any]], costs: Mapping[str, Mapping[str, float]]
) -> pd.DataFrame:
    """Measures of `score_entries`, between what is known of each entry (kind, leak, threshold) and what it cost.

    An entry without facts or costs has nothing there.
    """
    table = scored
    for known in (facts, costs):
        columns = pd.DataFrame([{"entry": entry, **values} for entry, values in known.items()])
        table = table.merge(columns, on="entry", how="left", validate="one_to_one")
    first = ["entry", *dict.fromkeys(key for fact in facts.values() for key in fact), "part", "n_micrographs"]
    return table[[*first, *table.columns.drop(first)]]
