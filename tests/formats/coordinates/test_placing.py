import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crisp_core.errors import UserError
from crisp_core.formats.coordinates.placing import split_inside, to_top_left
from crisp_core.geometry import rescaled_xy
from tests.formats.coordinates.tables import NAME, coordinate, table


@given(xy=st.lists(st.tuples(coordinate, coordinate), max_size=4), height=st.integers(1, 10**5))
def test_an_origin_there_and_back_is_the_identity(xy, height):
    given_table = table(xy=xy)
    there = to_top_left(given_table, {NAME: height}, origin="bottom-left")
    back = to_top_left(there, {NAME: height}, origin="bottom-left")
    np.testing.assert_allclose(back[["x", "y"]], given_table[["x", "y"]], rtol=0, atol=1e-9)


@given(xy=st.lists(st.tuples(coordinate, coordinate), max_size=4), shape=st.tuples(*[st.integers(1, 10**4)] * 4))
def test_a_scale_there_and_back_is_the_identity(xy, shape):
    xy = np.reshape(xy, (-1, 2))
    there = rescaled_xy(xy, shape[:2], shape[2:])
    np.testing.assert_allclose(rescaled_xy(there, shape[2:], shape[:2]), xy, rtol=0, atol=1e-9)


def test_many_coordinates_outside_their_micrograph_are_refused():
    shapes = {NAME: (100, 200)}
    inside = table([[0, 0], [199, 99], [200, -1]])
    pd.testing.assert_frame_equal(split_inside(inside, shapes, source="m.csv")[0], inside)
    for xy in ([200.5, 50], [50, 100.5], [-1.5, 50], [50, -1.5]):
        with pytest.raises(
            UserError, match=rf"m\.csv: 1 of 2 coordinates lie outside .*{NAME} of 200 × 100 pixels; give"
        ):
            split_inside(table([[5, 5], xy]), shapes, source="m.csv")


def test_a_few_coordinates_outside_are_left_out_and_named():
    slip = table([[5 + i, 50] for i in range(50)] + [[203, 50]])
    inside, text = split_inside(slip, {NAME: (100, 200)}, source="m.csv")
    pd.testing.assert_frame_equal(inside, slip.iloc[:50])
    assert text == (
        f"m.csv: 1 of 51 coordinates lie outside the micrograph, for instance (203, 50) in {NAME} of 200 × 100 pixels; "
        "left out, the others are used"
    )
    with pytest.raises(UserError, match="6 of 51 coordinates lie outside"):
        split_inside(slip.assign(x=slip["x"].where(slip.index > 4, 300)), {NAME: (100, 200)}, source="m.csv")


def test_fractions_of_a_micrograph_are_refused():
    shapes = {NAME: (100, 200)}
    with pytest.raises(UserError, match=r"m\.csv: all 2 coordinates lie between 0 and 1, so they are fractions"):
        split_inside(table([[0.25, 0.5], [1, 0]]), shapes, source="m.csv")
    for xy in ([[0.25, 0.5]], [[0, 0], [1, 1]], [[0.5, 0.5], [0.5, 7]]):
        assert len(split_inside(table(xy), shapes, source="m.csv")[0]) == len(xy)


def test_to_top_left_is_its_own_inverse_and_knows_each_height():
    both = pd.concat([table([[1, 0]]), table([[2, 99]], micrograph="other")], ignore_index=True)
    heights = {NAME: 4096, "other": 100}
    flipped = to_top_left(both, heights, origin="bottom-left")
    assert flipped[["x", "y"]].to_numpy().tolist() == [[1, 4095], [2, 0]]
    pd.testing.assert_frame_equal(to_top_left(flipped, heights, origin="bottom-left"), both)
    pd.testing.assert_frame_equal(to_top_left(both, heights, origin="top-left"), both)
    with pytest.raises(UserError, match="origin: 'up' is not known; write one of top-left, bottom-left"):
        to_top_left(both, heights, origin="up")
