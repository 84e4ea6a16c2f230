import numpy as np

from crisp_core.evaluation.masked_area import on_masked_area
from tests.evaluation.example_picks import scored


def test_picks_on_masked_area():
    valid = np.ones((50, 100), dtype=bool)
    valid[:, :10] = False
    xy = np.array([[10, 100], [39, 0], [41, 0], [-1, 5], [399.4, 199.4], [399.6, 5]])
    masked = on_masked_area(xy, valid, full_shape=(200, 400))
    assert masked.tolist() == [True, False, False, True, False, True]
    assert scored([[0, 0]], xy, on_masked_area=masked).n_on_masked_area == 3
    assert on_masked_area(np.zeros((0, 2)), valid, full_shape=(200, 400)).shape == (0,)
