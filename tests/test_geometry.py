import numpy as np
import pytest

from crisp_core import geometry


def test_rescaled_coordinates_follow_fourier_resampling():
    # a cosine's crest moves with the grid: sample j of m lies at j * n / m of n
    assert geometry.rescaled_xy([[8, 4]], (64, 128), (32, 32)).tolist() == [[2.0, 2.0]]


def test_flipping_twice_is_the_identity():
    y = np.array([0.0, 1.25, 99.0])
    assert geometry.flipped_y(geometry.flipped_y(y, 100), 100).tolist() == y.tolist()
    assert geometry.flipped_y(0, 100) == 99


@pytest.mark.parametrize("n", [1, 7, 50, 101.3, 257])
def test_even_fft_size_is_even_smooth_and_no_smaller(n):
    size = geometry.even_fft_size(n)
    assert size >= n and size % 2 == 0
    for prime in (2, 3, 5):
        while size % prime == 0:
            size //= prime
    assert size == 1


def test_rescaled_shape_rounds_each_side():
    assert geometry.rescaled_shape((4096, 4095), 1.77, 7.08) == (1024, 1024)
