"""Which micrographs to look at first: those of which the network is unsure, and unusual ones."""

from collections.abc import Collection

import numpy as np
import pandas as pd

from crisp_core.robust import SD_PER_MAD

# micrographs in the table of suggestions
N_SUGGESTED = 8
# largest deviation of a measure that counts, in robust standard deviations
LARGEST_Z = 3.0
DOUBTS = ("uncertainty", "turn_disagreement")
# measures of curation.tsv in which a micrograph may be unusual
SHARES = (
    "particle_share",
    "contaminant_share",
    "carbon_share",
    "mottle",
    "ice_gradient",
    "picked_share",
    "aggregation",
)
WORDS = {
    "uncertainty": "many pixels between particle and background",
    "turn_disagreement": "another result when the micrograph is turned",
}


def measure_doubt(probability: np.ndarray, turned: np.ndarray, valid: np.ndarray) -> dict[str, float]:
    """Doubt of a network about a micrograph, as means over the valid area.

    Parameters
    ----------
    probability, turned : (h, w) arrays
        Particle probability as predicted, and of the micrograph turned by 90° and turned back.
    valid : (h, w) bool array
        Valid area.

    Returns
    -------
    dict
        ``uncertainty``: mean of 4 p (1 − p), which is 1 where p is 0.5; ``turn_disagreement``: mean difference of the
        two maps.
    """
    inside = np.asarray(valid, dtype=bool)
    if not inside.any():
        return dict.fromkeys(DOUBTS, np.nan)
    p, q = probability[inside].astype(float), turned[inside].astype(float)
    return {"uncertainty": float(np.mean(4 * p * (1 - p))), "turn_disagreement": float(np.mean(np.abs(p - q)))}


def robust_z(values: pd.Series) -> pd.Series:
    """Deviations from the median in robust standard deviations, at most `LARGEST_Z`; 0 for a missing value."""
    deviation = values.astype(float) - values.median()
    spread = SD_PER_MAD * deviation.abs().median()
    if not spread > 0:
        spread = max(float(deviation.std(ddof=0)), 1e-12)
    return (deviation / spread).clip(-LARGEST_Z, LARGEST_Z).fillna(0.0)


def suggest_micrographs(
    doubt: pd.DataFrame, curation: pd.DataFrame, *, corrected: Collection[str] = (), n: int = N_SUGGESTED
) -> pd.DataFrame:
    """Choose micrographs to correct, one after the other.

    The worth of a micrograph is the sum of its doubt (mean deviation of both measures), half of the mean deviation of
    its shares, and its distance in all these measures from the micrographs that are chosen already. Bad micrographs and
    corrected ones are not suggested.

    Parameters
    ----------
    doubt : DataFrame
        Column micrograph, and those of `measure_doubt`.
    curation : DataFrame
        Table curation.tsv of the run.
    corrected : collection of str
        Micrographs that are corrected already.
    n : int
        Largest number of suggestions.

    Returns
    -------
    DataFrame
        Columns rank, micrograph, uncertainty, turn_disagreement, unusual, reason; the most doubtful first.
    """
    table = doubt.merge(curation, on="micrograph", how="left", validate="one_to_one")
    shares = [name for name in SHARES if name in table and table[name].notna().any()]
    z = pd.DataFrame({name: robust_z(table[name]) for name in (*DOUBTS, *shares)})
    table["unusual"] = z[shares].abs().mean(axis=1) if shares else 0.0
    worth = (z[list(DOUBTS)].mean(axis=1) + table["unusual"] / 2).to_numpy(copy=True)
    worth[(table["verdict"] == "bad").to_numpy() | table["micrograph"].isin(corrected).to_numpy()] = -np.inf
    places = z.to_numpy() / np.sqrt(z.shape[1])
    known = [np.flatnonzero(table["micrograph"] == name)[0] for name in corrected if name in set(table["micrograph"])]
    chosen = choose_diverse(worth, places, known, n)
    found = table.iloc[chosen][["micrograph", *DOUBTS, "unusual"]].reset_index(drop=True)
    found.insert(0, "rank", np.arange(1, len(found) + 1))
    return found.assign(reason=[reason_of(z.iloc[row]) for row in chosen])


def choose_diverse(worth: np.ndarray, places: np.ndarray, known: list[int], n: int) -> list[int]:
    """Choose rows one after the other, by their worth plus the distance from the nearest row that is chosen already.

    Parameters
    ----------
    worth : (m,) array
        Worth of each row; −inf for one that is not to be chosen.
    places : (m, k) array
        Places of the rows, in the unit of `worth`.
    known : list of int
        Rows that count as chosen before the first one.
    n : int
        Largest number of rows.
    """
    chosen: list[int] = []
    for _ in range(min(n, int(np.isfinite(worth).sum()))):
        before, apart = [*known, *chosen], np.zeros(len(worth))
        if before:
            apart = np.linalg.norm(places[:, None] - places[before], axis=2).min(axis=1)
        total = worth + apart
        total[chosen] = -np.inf
        chosen.append(int(total.argmax()))
    return chosen


def reason_of(deviations: pd.Series) -> str:
    """Words for the measures that deviate by more than one robust standard deviation: the largest two."""
    upward = deviations.where(~deviations.index.isin(DOUBTS), deviations.clip(lower=0)).abs()
    largest = upward[upward > 1].nlargest(2).index
    words = [
        WORDS.get(name, f"{'much' if deviations[name] > 0 else 'little'} {name.replace('_', ' ')}") for name in largest
    ]
    return "; ".join(words) or "differs from corrected micrographs and from those above"
