import numpy as np
import pandas as pd
import pytest

from crisp_core.errors import UserError
from crisp_core.evaluation.tables import add_mean_and_sd, experiment_row


def test_a_row_holds_the_pooled_measures_of_the_test_part():
    pixels = pd.DataFrame({"part": ["train", "test", "test"], "micrograph": ["all", "m", "all"]})
    pixels = pixels.assign(iou=[0.1, 0.2, 0.3], precision=0.5, recall=0.6, f1=0.7)
    picks = pixels.assign(f1=[1, 2, 3], ap=[4, 5, 6], map_paper=0.8)
    row = experiment_row(pixels, picks)
    assert (row["pixel_iou"], row["pick_f1"], row["pick_ap"]) == (0.3, 3, 6)
    assert experiment_row(pixels, picks, part="train")["pixel_iou"] == 0.1
    with pytest.raises(UserError, match="split/validation: has no scored micrograph; put one into it"):
        experiment_row(pixels, picks, part="validation")


def test_mean_and_sd_follow_the_seeds_in_order():
    rows = [
        {"dataset": "d", "experiment": name, "seed": seed, "x": value}
        for name, values in {"b": [1.0, 2.0, 6.0], "a": [5.0]}.items()
        for seed, value in enumerate(values)
    ]
    table = add_mean_and_sd(rows)
    assert table["experiment"].tolist() == ["b", "b", "b", "a", "b", "a", "b", "a"]
    assert table["seed"].tolist() == [0, 1, 2, 0, "mean", "mean", "sd", "sd"]
    np.testing.assert_allclose(table["x"].tolist()[4:], [3.0, 5.0, np.std([1, 2, 6], ddof=1), np.nan])
