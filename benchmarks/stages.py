"""Time and peak memory of every stage of a finished run, from Snakemake's benchmark files.

Usage: python benchmarks/stages.py results/<dataset> [more datasets]
"""

import sys
from pathlib import Path

import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from crisp_core.evaluation.performance import rule_costs


def stage_table(folder: Path) -> pd.DataFrame:
    """Jobs, seconds in all, and the largest job's memory (MiB) of each rule anywhere below `folder`."""
    return rule_costs(sorted(folder.rglob("performance")))


if __name__ == "__main__":
    for folder in map(Path, sys.argv[1:]):
        print(f"\n{folder}\n\n{stage_table(folder).round(1).to_string()}")
