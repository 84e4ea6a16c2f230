"""Comparison of several pickers on the same micrographs: scores, agreement, and consensus picks."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import scipy

from crisp_core.errors import UserError
from crisp_core.evaluation.masked_area import flag_masked_picks
from crisp_core.evaluation.matching import MATCH_FRACTION, ROUNDING, match_one_to_one
from crisp_core.evaluation.pick_tables import curve_table, picks_table
from crisp_core.formats.arrays import Array

CONSENSUS = "consensus"


def common_micrographs(parts: Mapping[str, str], part: str, seen: Mapping[str, Iterable[str] | None]) -> list[str]:
    """Return the micrographs of a part that all entries have picked, in the order of the split.

    Parameters
    ----------
    parts : mapping of micrograph to part
        Parts of the split.
    part : str
        Part to compare on.
    seen : mapping of entry to micrographs
        Micrographs that each entry has picked, None for all.

    Raises
    ------
    UserError
        If there are none.
    """
    wanted = [name for name in parts if parts[name] == part]
    sets = {entry: set(names) for entry, names in seen.items() if names is not None}
    common = [name for name in wanted if all(name in names for names in sets.values())]
    if not common:
        least = min(sets, key=lambda entry: len(sets[entry] & set(wanted)), default="")
        raise UserError(
            f"comparison: no micrograph of the {part} part has picks of all entries"
            + (f"; remove {least}, which has the fewest, or add its picks on more micrographs" if least else "")
        )
    return common


def flag_masked_entries(
    picks: Mapping[str, pd.DataFrame], valid: Iterable[tuple[str, Array]]
) -> dict[str, pd.DataFrame]:
    """Apply `flag_masked_picks` to the picks of every entry, with one pass over the masks."""
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
    """Measure every entry on the same micrographs, pooled: measures and precision-recall curve.

    Parameters
    ----------
    truth : DataFrame
        True particles: columns micrograph, x, y in px.
    picks, candidates : mapping of entry to DataFrame
        Picks and candidates, as in `pick_tables.picks_table`.
    micrographs : sequence of str
        Result of `common_micrographs`.
    part : str
        Part of the split.
    diameter_px : float
        Particle diameter in px of x and y.
    pixel_size : float
        Pixel size of x and y, Å/px.
    seed : int
        Seed of the bootstrap over micrographs.

    Returns
    -------
    tuple of DataFrame
        Pooled rows of `picks_table` and result of `curve_table`, both with a first column entry.
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
    """Return the share of the picks of one entry (rows) that match picks of another entry (columns).

    Picks are matched one to one within half a diameter.

    Parameters
    ----------
    picks : mapping of entry to DataFrame
        Columns micrograph, x, y in px.
    micrographs : sequence of str
        Micrographs to compare on.
    diameter_px : float
        Particle diameter in px of x and y.

    Returns
    -------
    DataFrame
        (n, n), with entries as index and columns; NaN in rows of entries without picks.
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
    """Return ranks of scores, (rank − ½) / n from 0 (lowest) to 1 (highest); equal and missing scores share a rank."""
    scores = np.nan_to_num(np.asarray(scores, dtype=float), nan=-np.inf, posinf=np.inf, neginf=-np.inf)
    return (pd.Series(scores).rank().to_numpy() - 0.5) / max(1, len(scores))


def consensus_picks(
    picks: Mapping[str, pd.DataFrame], micrographs: Sequence[str], *, diameter_px: float, at_least: int
) -> pd.DataFrame:
    """Return the picks on which a minimum number of entries agree.

    Picks are grouped, with at most one pick of each entry in a group. Pairs of picks of different entries at most half
    a diameter apart are processed from the closest to the farthest (ties in the order of entries and rows). The two
    groups of a pair are joined if they have no entry in common and their mean positions are within half a diameter.

    Parameters
    ----------
    picks : mapping of entry to DataFrame
        Columns micrograph, x, y, score.
    micrographs : sequence of str
        Micrographs to compare on.
    diameter_px : float
        Particle diameter in px of x and y.
    at_least : int
        Minimum number of entries.

    Returns
    -------
    DataFrame
        Columns micrograph, x, y (mean of the group), score, n_entries. The score is n_entries plus the mean of
        `relative_ranks` of the picks in the group, between 0 and 1.
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
    """Return the number of the group (n,) of every pick of one micrograph, see `consensus_picks`.

    Parameters
    ----------
    xy : (n, 2) array
        Positions of the picks in px.
    entry : (n,) integer array
        Number of the entry of each pick.
    reach_px : float
        Maximum distance within a group, half a diameter in px.
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
    """Return close pairs of picks of different entries, closest pairs first."""
    if len(xy) == 0:
        return []
    pairs = scipy.spatial.cKDTree(xy).query_pairs(reach_px * (1 + ROUNDING), output_type="ndarray")
    pairs = pairs[entry[pairs[:, 0]] != entry[pairs[:, 1]]]
    distances = np.hypot(*(xy[pairs[:, 0]] - xy[pairs[:, 1]]).T)
    order = np.lexsort((pairs[:, 1], pairs[:, 0], distances))
    return [tuple(pair) for pair in pairs[order].tolist()]


def comparison_table(
    scored: pd.DataFrame, facts: Mapping[str, Mapping[str, Any]], costs: Mapping[str, Mapping[str, float]]
) -> pd.DataFrame:
    """Combine facts, measures and costs of the entries in one table.

    Parameters
    ----------
    scored : DataFrame
        Measures, first result of `score_entries`.
    facts : mapping of entry to mapping
        Facts of an entry (kind, leak, threshold), first in the table; NaN where there are none.
    costs : mapping of entry to mapping
        Seconds and memory of an entry, last in the table; NaN where there are none.
    """
    table = scored
    for known in (facts, costs):
        columns = pd.DataFrame([{"entry": entry, **values} for entry, values in known.items()])
        table = table.merge(columns, on="entry", how="left", validate="one_to_one")
    first = ["entry", *dict.fromkeys(key for fact in facts.values() for key in fact), "part", "n_micrographs"]
    return table[[*first, *table.columns.drop(first)]]
