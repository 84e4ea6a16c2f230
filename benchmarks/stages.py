"""Time and peak memory of every stage of a finished run, from Snakemake's benchmark files.

Usage: python benchmarks/stages.py results/<dataset> [more datasets]
"""

import sys
from pathlib import Path

import pandas as pd


def stage_table(folder: Path) -> pd.DataFrame:
    """Jobs, seconds in all, and the largest job's peak memory (MiB) of each stage below `folder`."""
    rows = []
    for file in sorted(folder.rglob("performance/**/*.tsv")):
        inside = file.parts[file.parts.index("performance") + 1 :]
        job = pd.read_csv(file, sep="\t", na_values="-").iloc[0]
        rows.append((Path(inside[0]).stem, job["s"], job["max_rss"]))
    jobs = pd.DataFrame(rows, columns=["stage", "seconds", "memory_mib"])
    stages = jobs.groupby("stage", sort=False)
    return stages.agg(jobs=("seconds", "size"), seconds=("seconds", "sum"), peak_memory_mib=("memory_mib", "max"))


if __name__ == "__main__":
    for folder in map(Path, sys.argv[1:]):
        print(f"\n{folder}\n\n{stage_table(folder).round(1).to_string()}")
