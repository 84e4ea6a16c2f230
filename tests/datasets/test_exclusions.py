"""Excluded micrographs: read from the tables of batches, and their picks set apart with the reason."""

import pandas as pd

from crisp_core.datasets.exclusions import read_excluded, without_excluded


def test_picks_of_excluded_micrographs_are_set_apart(tmp_path):
    for number, rows in (("0", ["007\tverdict bad"]), ("1", []), ("2", ["NA\tlisted in exclude_micrographs"])):
        (tmp_path / f"{number}.tsv").write_text("\n".join(["micrograph\texcluded", *rows, ""]))
    excluded = read_excluded(sorted(tmp_path.glob("*.tsv")))
    assert excluded == {"007": "verdict bad", "NA": "listed in exclude_micrographs"}
    picks = pd.DataFrame({"micrograph": ["7", "007", "NA", "b"], "x": [1.0, 2, 3, 4]})
    kept, gone = without_excluded(picks, excluded)
    assert kept["micrograph"].tolist() == ["7", "b"]
    assert gone["reason"].tolist() == [
        "micrograph excluded: verdict bad",
        "micrograph excluded: listed in exclude_micrographs",
    ]


def test_without_tables_all_picks_stay():
    picks = pd.DataFrame({"micrograph": ["a"], "x": [1.0]})
    kept, gone = without_excluded(picks, read_excluded([]))
    pd.testing.assert_frame_equal(kept, picks)
    assert gone.empty and without_excluded(picks[:0], {"a": "x"})[1].empty
