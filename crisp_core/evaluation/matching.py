"""One-to-one matching of picks with true particles.

A pick and a true particle may be paired if they are at most half a particle diameter apart. Every count is that of a
maximum one-to-one matching, also along the precision-recall curve: from the highest score down, a pick counts as true
if it enlarges the maximum matching. The number of true picks at a threshold therefore equals that of a fresh matching
of the picks above it, recall never decreases as the threshold decreases, and the order of the rows changes nothing.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy

# Largest distances of a pair, as fractions of the particle diameter.
MATCH_FRACTION = 1 / 2
STRICTER_FRACTIONS = {"d3": 1 / 3, "d4": 1 / 4, "d8": 1 / 8}
IOU_LEVELS = np.arange(50, 100, 5) / 100
# Relative tolerance for distances and IoUs that equal a limit up to rounding.
ROUNDING = 1e-9


class Pairs(NamedTuple):
    """Pairs of a true particle and a pick: row numbers, and one value per pair (distance in px, IoU or score)."""

    truth: np.ndarray  # (k,)
    pick: np.ndarray  # (k,)
    value: np.ndarray  # (k,)


def find_near_pairs(truth_xy: np.ndarray, picks_xy: np.ndarray, *, max_distance_px: float) -> Pairs:
    """Find all pairs at most `max_distance_px` apart (inclusive up to rounding).

    Parameters
    ----------
    truth_xy, picks_xy : (n, 2) and (m, 2) arrays
        Positions of true particles and picks as (x, y), in px.
    max_distance_px : float
        Largest distance of a pair, in the same px.

    Returns
    -------
    Pairs
        Sorted by true particle, then by pick, with the distances in px.
    """
    return _pairs_within(truth_xy, picks_xy, max_distance_px, norm=2)


def find_overlapping_boxes(truth_xy: np.ndarray, picks_xy: np.ndarray, *, box_px: float) -> Pairs:
    """Find all pairs whose square boxes have an intersection over union (IoU) of at least 0.50.

    Parameters
    ----------
    truth_xy, picks_xy : (n, 2) and (m, 2) arrays
        Centres of the boxes as (x, y), in px.
    box_px : float
        Side of every box, in the same px.

    Returns
    -------
    Pairs
        Sorted by true particle, then by pick, with the IoUs.
    """
    # An IoU of 1/2 of equal squares means a shared area of 2/3, so neither offset exceeds a third of the side.
    near = _pairs_within(truth_xy, picks_xy, box_px / 3, norm=np.inf)
    offsets = np.abs(np.asarray(truth_xy)[near.truth] - np.asarray(picks_xy)[near.pick])
    shared = np.prod(1 - offsets.reshape(-1, 2) / box_px, axis=1)
    value = shared / (2 - shared)
    enough = value >= IOU_LEVELS[0] - ROUNDING
    return Pairs(near.truth[enough], near.pick[enough], value[enough])


def _pairs_within(truth_xy: np.ndarray, picks_xy: np.ndarray, reach: float, *, norm: float) -> Pairs:
    if len(truth_xy) == 0 or len(picks_xy) == 0:
        return Pairs(np.zeros(0, dtype=int), np.zeros(0, dtype=int), np.zeros(0))
    near = scipy.spatial.cKDTree(truth_xy).sparse_distance_matrix(
        scipy.spatial.cKDTree(picks_xy), reach * (1 + ROUNDING), p=norm, output_type="ndarray"
    )
    order = np.lexsort((near["j"], near["i"]))
    return Pairs(near["i"][order], near["j"][order], near["v"][order])


def match_one_to_one(truth_xy: np.ndarray, picks_xy: np.ndarray, *, max_distance_px: float) -> Pairs:
    """Match one to one within a distance: the largest number of pairs, and of those the smallest total distance.

    The assignment is solved separately in each connected component of the graph of near pairs, so that its cost stays
    small.

    Parameters
    ----------
    truth_xy, picks_xy : (n, 2) and (m, 2) arrays
        Positions of true particles and picks as (x, y), in px.
    max_distance_px : float
        Largest distance of a pair (inclusive), in the same px.

    Returns
    -------
    Pairs
        Sorted by true particle, with the distances in px.
    """
    near = find_near_pairs(truth_xy, picks_xy, max_distance_px=max_distance_px)
    part = _connected_part(near, len(truth_xy), len(picks_xy))
    order = np.argsort(part, kind="stable")
    starts = np.flatnonzero(np.diff(part[order], prepend=-1))
    chosen = [members[_best_assignment(near, members)] for members in np.split(order, starts[1:])]
    kept = np.sort(np.concatenate(chosen))
    return Pairs(*(column[kept] for column in near))


def _connected_part(near: Pairs, n_truth: int, n_picks: int) -> np.ndarray:
    n = n_truth + n_picks
    graph = scipy.sparse.coo_array((np.ones(near.truth.size), (near.truth, near.pick + n_truth)), shape=(n, n))
    return scipy.sparse.csgraph.connected_components(graph, directed=False)[1][near.truth]


def _best_assignment(near: Pairs, members: np.ndarray) -> np.ndarray:
    """Positions in `members` (the pairs of one connected component) of the pairs in the best assignment."""
    if members.size < 2:
        return np.arange(members.size)
    rows, row = np.unique(near.truth[members], return_inverse=True)
    columns, column = np.unique(near.pick[members], return_inverse=True)
    distance = near.value[members]
    # One forbidden pair costs more than all allowed pairs, so the cheapest assignment has the most allowed pairs.
    forbidden = 1.0 + distance.max() * (min(rows.size, columns.size) + 1)
    cost = np.full((rows.size, columns.size), forbidden)
    cost[row, column] = distance
    position = np.full(cost.shape, -1)
    position[row, column] = np.arange(members.size)
    used = position[scipy.optimize.linear_sum_assignment(cost)]
    return used[used >= 0]


def mark_true_picks(pairs: Pairs, scores: np.ndarray) -> np.ndarray:
    """Mark the picks that enlarge the maximum matching of all picks with a higher score, bool (n_picks,).

    Among equal scores the order of the rows decides which picks are true, but not how many.
    """
    true = np.zeros(len(scores), dtype=bool)
    true[match_in_score_order(pairs, scores).pick] = True
    return true


def match_in_score_order(pairs: Pairs, scores: np.ndarray) -> Pairs:
    """Return the true picks, highest score first, each with its score and the particle that is found from there on.

    A particle that is found stays found at all lower thresholds, although not always by the same pick.
    """
    candidates: list[list[int]] = [[] for _ in range(len(scores))]
    for truth, pick in zip(pairs.truth.tolist(), pairs.pick.tolist(), strict=True):
        candidates[pick].append(truth)
    owner: dict[int, int] = {}
    closed: set[int] = set()
    order = np.argsort(-np.asarray(scores, dtype=float), kind="stable").tolist()
    picks = np.array([pick for pick in order if _find_augmenting_path(pick, candidates, owner, closed)], dtype=int)
    # Each augmenting path adds one particle, and a dictionary keeps the order in which keys were added.
    return Pairs(np.array(list(owner), dtype=int), picks, np.asarray(scores, dtype=float)[picks])


def _find_augmenting_path(pick: int, candidates: list[list[int]], owner: dict[int, int], closed: set[int]) -> bool:
    """Search breadth first for an augmenting path from `pick`. Success updates `owner`, failure updates `closed`."""
    visited_by: dict[int, int] = {}
    given: dict[int, int | None] = {pick: None}
    queue = [pick]
    for current in queue:
        for truth in candidates[current]:
            if truth in visited_by or truth in closed:
                continue
            visited_by[truth] = current
            if truth not in owner:
                _apply_path(truth, visited_by, given, owner)
                return True
            given[owner[truth]] = truth
            queue.append(owner[truth])
    # No unmatched particle can be reached from these any more, so later searches skip them.
    closed.update(visited_by)
    return False


def _apply_path(
    truth: int | None, visited_by: dict[int, int], given: dict[int, int | None], owner: dict[int, int]
) -> None:
    while truth is not None:
        owner[truth] = visited_by[truth]
        truth = given[visited_by[truth]]


def flag_matched_rows(
    truth: pd.DataFrame, picks: pd.DataFrame, *, diameter_px: float
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Add the column `matched` (has a partner) to the true particles and the picks of one micrograph.

    Parameters
    ----------
    truth, picks : DataFrame
        Columns x and y, in px.
    diameter_px : float
        Particle diameter in the same px; partners are at most half of it apart.
    """
    pairs = match_one_to_one(
        *(table[["x", "y"]].to_numpy(float) for table in (truth, picks)), max_distance_px=diameter_px / 2
    )
    return tuple(
        table.assign(matched=np.isin(np.arange(len(table)), chosen))
        for table, chosen in ((truth, pairs.truth), (picks, pairs.pick))
    )
