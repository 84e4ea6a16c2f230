import math

import numpy as np
import pandas as pd
import pytest

from crisp_core.datasets.quarantine import Refused, write_quarantine
from crisp_core.evaluation.compared import (
    consensus_facts,
    entry_costs,
    named_micrographs,
    read_entries,
    seen_micrographs,
)
from crisp_core.formats.relion_coordinates import write_coordinates_star


@pytest.mark.parametrize(("leaks", "worst"), [(["no"], "no"), (["no", "unknown"], "unknown"), (["yes", "no"], "yes")])
def test_a_consensus_leaks_as_its_worst_entry(leaks, worst):
    facts = {str(i): {"leak": leak} for i, leak in enumerate(leaks)}
    assert consensus_facts(facts, at_least=2) == {"kind": "at least 2 agree", "leak": worst}


def test_picks_are_those_of_their_entry(tmp_path):
    columns = {"micrograph": ["a"], "y": [2.0], "score": [0.5]}
    paths = [tmp_path / entry / "picks" / f"000{batch}.star" for entry in ("one", "two") for batch in (0, 1)]
    for x, path in enumerate(paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_coordinates_star(path, pd.DataFrame(columns | {"x": [float(x)]}))
    found = read_entries(map(str, paths), ["two", "one"])
    assert {entry: table["x"].tolist() for entry, table in found.items()} == {"two": [2, 3], "one": [0, 1]}


def test_names_belong_to_the_folder_of_their_table(tmp_path):
    (tmp_path / "files").mkdir()
    (tmp_path / "files/picked_names.tsv").write_text("name\tmicrograph\nx\t001\n")
    assert named_micrographs([str(tmp_path / "files/picked_names.tsv")]) == {"files": {"001"}}


def test_a_micrograph_on_which_an_entry_failed_is_not_one_that_it_missed(tmp_path):
    rows = {"files": [], "other": [("raw/b.mrc", "pick", "it failed"), ("raw/c.mrc", "ctf", "no line")]}
    for entry, refused in rows.items():
        (tmp_path / entry).mkdir()
        write_quarantine(tmp_path / entry / "quarantine.tsv", [Refused(*row) for row in refused])
    (tmp_path / "files/picked_names.tsv").write_text("name\tmicrograph\nx\ta\ny\tb\n")
    tables = [str(tmp_path / entry / "quarantine.tsv") for entry in rows]
    seen = seen_micrographs(["a", "b", "c"], [str(tmp_path / "files/picked_names.tsv")], tables)
    assert seen == {"files": {"a", "b"}, "other": {"a", "c"}}


def test_costs_are_per_micrograph_and_unknown_without_measurements(tmp_path):
    (tmp_path / "performance/pick").mkdir(parents=True)
    for batch, seconds in enumerate((3.0, 5.0)):
        (tmp_path / f"performance/pick/{batch}.tsv").write_text(f"s\tmax_rss\n{seconds}\t{100 * seconds}\n")
    costs = entry_costs(
        {"a": {"training": [(tmp_path, "train")], "picking": [(tmp_path, f"pick/{batch}") for batch in (0, 1)]}},
        n_micrographs=4,
    )
    assert costs["a"]["seconds_per_micrograph"] == 2.0 and costs["a"]["picking_peak_mib"] == 500
    assert math.isnan(costs["a"]["training_seconds"]) and np.isnan(costs["a"]["training_peak_mib"])
