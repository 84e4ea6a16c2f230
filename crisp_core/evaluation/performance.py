"""Time and memory of jobs, from the benchmark files that Snakemake writes into `performance` folders.

The files of a rule are `<rule>.tsv`, or one per batch in `<rule>/`. Very short jobs have no measurement of memory.
"""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from crisp_core.formats.tables import read_table


class Cost(NamedTuple):
    """Total time of several jobs, and memory of the largest."""

    seconds: float
    peak_mib: float


def read_benchmarks(files: Iterable[tuple[str, Path]]) -> pd.DataFrame:
    """Read benchmark files, each given with its rule: one row per job with rule, seconds, mib."""
    rows = []
    for rule, path in files:
        job = read_table(path, na_values="-").iloc[0]
        rows.append((rule, job["s"], job["max_rss"]))
    return pd.DataFrame(rows, columns=["rule", "seconds", "mib"]).astype({"seconds": float, "mib": float})


def rule_costs(folders: Iterable[str | Path]) -> pd.DataFrame:
    """Return the number of jobs, total seconds and largest memory by rule, from `performance` folders."""
    files = [
        (path.relative_to(folder).with_suffix("").parts[0], path)
        for folder in map(Path, folders)
        for path in sorted(folder.rglob("*.tsv"))
    ]
    rules = read_benchmarks(files).groupby("rule", sort=False)
    return rules.agg(jobs=("seconds", "size"), seconds=("seconds", "sum"), peak_mib=("mib", "max"))


def job_cost(jobs: Iterable[tuple[str | Path, str]]) -> Cost:
    """Return the cost of jobs, each given with the folder of its experiment; NaN without measurements.

    Measurements of an earlier run may be missing.
    """
    files = [(job, Path(folder) / f"performance/{job}.tsv") for folder, job in jobs]
    table = read_benchmarks([(job, path) for job, path in files if path.exists()])
    return Cost(table["seconds"].sum(), table["mib"].max()) if len(table) else Cost(math.nan, math.nan)
