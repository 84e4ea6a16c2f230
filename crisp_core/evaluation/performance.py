"""Time and memory of jobs, from the benchmark files that Snakemake writes into `performance` folders.

A rule's file is `<rule>.tsv`, or one per batch in `<rule>/`; a job that ended too soon to be measured has no memory.
"""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pandas as pd


class Cost(NamedTuple):
    """Time of all jobs together, and memory of the largest."""

    seconds: float
    peak_mib: float


def read_benchmarks(files: Iterable[tuple[str, Path]]) -> pd.DataFrame:
    """Jobs of which benchmark files tell, each given with its rule; one row each: rule, seconds, mib."""
    rows = []
    for rule, path in files:
        job = pd.read_csv(path, sep="\t", na_values="-").iloc[0]
        rows.append((rule, job["s"], job["max_rss"]))
    return pd.DataFrame(rows, columns=["rule", "seconds", "mib"]).astype({"seconds": float, "mib": float})


def rule_costs(folders: Iterable[str | Path]) -> pd.DataFrame:
    """Jobs, seconds in all and the largest job's memory by rule, of the benchmark files in `performance` folders."""
    files = [
        (path.relative_to(folder).with_suffix("").parts[0], path)
        for folder in map(Path, folders)
        for path in sorted(folder.rglob("*.tsv"))
    ]
    rules = read_benchmarks(files).groupby("rule", sort=False)
    return rules.agg(jobs=("seconds", "size"), seconds=("seconds", "sum"), peak_mib=("mib", "max"))


def job_cost(jobs: Iterable[tuple[str | Path, str]]) -> Cost:
    """Cost of rules, each given with the folder of its experiment; NaN where nothing was run.

    An earlier run's measurements may be gone.
    """
    places = [(Path(folder) / "performance", rule) for folder, rule in jobs]
    patterns = ("{}.tsv", "{}/*.tsv")
    files = [(rule, path) for place, rule in places for p in patterns for path in place.glob(p.format(rule))]
    table = read_benchmarks(files)
    return Cost(table["seconds"].sum(), table["mib"].max()) if len(table) else Cost(math.nan, math.nan)
