import math

import pandas as pd
import pytest

from crisp_core.evaluation.performance import job_cost, rule_costs


@pytest.fixture
def folder(tmp_path):
    """Of an experiment with one training, two jobs of picking and a split."""
    head, own = "s\th:m:s\tmax_rss\n", tmp_path / "performance"
    (own / "pick").mkdir(parents=True)
    (own / "train.tsv").write_text(head + "100.5\t0:01:40\t900\n")
    (own / "pick/0000.tsv").write_text(head + "2\t0:00:02\t-\n")
    (own / "pick/0001.tsv").write_text(head + "3\t0:00:03\t70\n")
    (own / "split.tsv").write_text(head + "0.1\t0:00:00\t-\n")
    return tmp_path


def test_rule_costs_sum_times_and_take_the_largest_job(folder):
    table = rule_costs([folder / "performance", folder / "missing"])
    expected = {"jobs": [2, 1, 1], "seconds": [5.0, 0.1, 100.5], "peak_mib": [70.0, math.nan, 900.0]}
    index = pd.Index(["pick", "split", "train"], name="rule")
    pd.testing.assert_frame_equal(table, pd.DataFrame(expected, index=index), check_index_type=False)
    assert rule_costs([folder / "missing"]).empty


def test_job_cost_pools_the_rules_that_were_run(folder):
    picks = [(folder, f"pick/000{batch}") for batch in range(2)]
    assert job_cost(picks) == (5, 70)
    assert job_cost([(folder, "train"), (folder, "train_crf"), *picks]) == (105.5, 900)
    # measurements of a batch that is gone do not count
    assert job_cost(picks[:1]).seconds < 5
    assert all(math.isnan(value) for value in job_cost([(folder, "predict")]))
