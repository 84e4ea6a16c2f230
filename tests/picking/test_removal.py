import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crisp_core.formats.arrays import Grid
from crisp_core.picking.removal import apply_rules, beyond_edge, distance_to_class, drop_picks
from crisp_core.picking.settings import RemovalSettings

SHAPE = (400, 800)


def table(xy):
    return pd.DataFrame(xy, columns=["x", "y"]).assign(score=np.linspace(1, 0, len(xy)))


@given(x=st.floats(-5, 805), y=st.floats(-5, 405), half=st.integers(1, 60))
def test_box_at_the_edge_is_judged_as_a_window_is_cut(x, y, half):
    window = np.trunc([x, y])[:, None] + np.arange(-half, half)
    leaves = (window < 0).any() or (window[0] > 799).any() or (window[1] > 399).any()
    assert beyond_edge([[x, y]], full_shape=SHAPE, box_px=2 * half)[0] == leaves


def test_distance_to_a_class_on_a_coarser_grid():
    label = np.zeros((100, 200), dtype=int)
    label[50, 60] = 3
    xy = np.array([[240, 200], [280, 200], [240, 80], [0, 0]])
    expected = np.hypot(xy[:, 0] - 240, xy[:, 1] - 200)
    np.testing.assert_allclose(distance_to_class(xy, label, 3, full_shape=SHAPE), expected)
    assert np.isinf(distance_to_class(xy, label, 2, full_shape=SHAPE)).all()


def test_every_pick_is_kept_or_dropped_with_its_reason():
    valid = np.ones((100, 200), dtype=bool)
    valid[:, :10] = False
    label = np.zeros((100, 200), dtype=int)
    label[40:60, 100] = 2
    label[10, 150] = 3
    picks = table([[4, 200], [400, 200], [430, 200], [440, 200], [600, 60], [790, 200], [200, 200]])
    kept, dropped = drop_picks(
        picks, full_shape=SHAPE, box_px=40, valid=valid, label=label, keep_away_px={2: 30, 3: 20}
    )
    assert kept["x"].tolist() == [440, 200]
    assert list(kept.columns) == ["x", "y", "score"]
    assert list(zip(dropped["x"], dropped["reason"], strict=True)) == [
        *((4, "masked area"), (400, "contaminant"), (430, "contaminant"), (600, "carbon"), (790, "edge")),
    ]
    assert len(kept) + len(dropped) == len(picks)


def test_nothing_asked_drops_nothing():
    picks = table([[-5, 3], [10, 10]])
    kept, dropped = drop_picks(picks, full_shape=SHAPE)
    pd.testing.assert_frame_equal(kept, picks)
    assert len(dropped) == 0 and "reason" in dropped


@pytest.mark.parametrize("options", [{}, {"box_px": 20, "valid": np.ones((10, 20), dtype=bool)}])
def test_empty_table(options):
    kept, dropped = drop_picks(table(np.zeros((0, 2))), full_shape=SHAPE, **options)
    assert len(kept) == len(dropped) == 0


@pytest.mark.parametrize(
    ("removal", "kept"), [({}, 3), ({"carbon_diameters": None}, 4), ({"contaminant_diameters": 3}, 2)]
)
def test_rules_of_the_config_work_in_px_of_the_micrograph(removal, kept):
    grid = Grid((100, 200), 8.0, SHAPE)
    label = np.zeros(grid.shape, dtype=int)
    label[50, 60] = 2
    label[10, 150] = 3
    found = table([[60, 50], [61, 52], [66, 50], [150, 12], [100, 80], [100, 20]])
    rules = RemovalSettings(**removal)
    options = {"valid": np.ones(grid.shape, dtype=bool), "label": label, "diameter_px": 40, "box_px": 0}
    result = apply_rules(found, grid, removal=rules, **options)
    assert len(result.kept) == kept and len(result.kept) + len(result.dropped) == 6
    np.testing.assert_allclose(result.kept[["x", "y"]].to_numpy()[-1], [400, 80])
    assert list(result.dropped["reason"])[:2] == ["contaminant", "contaminant"]
