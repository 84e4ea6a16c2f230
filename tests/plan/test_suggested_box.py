"""The box follows from the sizes of the first picks where the diameter is unknown."""

import pandas as pd
import pytest

from crisp_core.picking.sizes import read_suggested_box
from crisp_core.plan.experiments import first_picks, last_first_batch, suggested_box
from tests.plan.configs import MINE, plan

WHERE = {"dataset": "mine", "experiment": "unet"}


@pytest.mark.parametrize(
    ("estimated", "experiment", "expected"),
    [
        (True, {}, ["results/mine/unet/first_sizes.tsv"]),
        (False, {}, []),
        (True, {"particles": {"box_angstrom": 240}}, []),
        (True, {"picker": {"program": "skimage-log"}}, []),
    ],
)
def test_the_box_is_suggested_only_where_the_diameter_is_estimated_and_no_box_given(estimated, experiment, expected):
    made = plan(datasets={"mine": MINE | {"diameter_estimated": estimated}}, experiments={"unet": experiment})
    assert suggested_box(made, **WHERE) == expected


@pytest.mark.parametrize(("last", "expected"), [(None, [0, 1]), (0, [0]), (1, [0, 1]), (7, [0, 1]), ("", [0, 1])])
def test_micrographs_that_are_added_later_do_not_change_the_box(tmp_path, monkeypatch, last, expected):
    """Batch 2 is of a later addition; of a dataset without parts, all batches are of the first one."""
    monkeypatch.chdir(tmp_path)
    if last is not None:
        path = tmp_path / "results/mine/unet/first_sizes.tsv"
        path.parent.mkdir(parents=True)
        pd.DataFrame({"box_angstrom": [200.0], "last_batch": [last]}).to_csv(path, sep="\t", index=False)
    assert first_picks(plan(), **WHERE) == [f"results/mine/unet/picks/000{i}.star" for i in expected]
    # batch 1 is away for a while
    rows = [("mine", "a", 0, 0), ("mine", "c", 2, 0)]
    asked = plan(rows)
    assert last_first_batch(asked, **WHERE) == (last if isinstance(last, int) else 2)
    assert first_picks(plan([("mine", "c", 2, 0)]), **WHERE) == ["results/mine/unet/picks/0002.star"]


def test_too_few_picks_suggest_no_box(tmp_path):
    for box, expected in ((225.5, 225.5), (None, None)):
        pd.DataFrame({"box_px": [100.0], "box_angstrom": [box]}).to_csv(tmp_path / "a.tsv", sep="\t", index=False)
        assert read_suggested_box(tmp_path / "a.tsv") == expected
