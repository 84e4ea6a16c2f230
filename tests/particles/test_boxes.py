import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crisp_core.errors import UserError
from crisp_core.geometry import even_fft_size
from crisp_core.particles.boxes import boxes_touching_image, choose_boxes, cut_boxes
from tests.particles.noise_image import noise


@settings(max_examples=60, deadline=None)
@given(x=st.floats(-9, 69), y=st.floats(-9, 49), half=st.integers(1, 8))
def test_window_equals_an_edge_padded_slice(x, y, half):
    image, box = noise(), 2 * half
    padded = np.pad(image, 40, mode="edge")
    row, column = int(y) - half + 40, int(x) - half + 40
    expected = padded[row : row + box, column : column + box]
    np.testing.assert_array_equal(cut_boxes(image, [[x, y]], box_px=box)[0], expected)


def test_pixel_half_the_box_lies_on_the_truncated_centre():
    image = noise()
    cut = cut_boxes(image, [[20.99, 10.99]], box_px=8)
    assert cut.dtype == np.float32 and cut[0, 4, 4] == image[10, 20]


@settings(max_examples=60, deadline=None)
@given(x=st.floats(-30, 90), y=st.floats(-30, 70))
def test_overlap_equals_counting_pixels(x, y):
    rows, columns = int(y) - 5 + np.arange(10), int(x) - 5 + np.arange(10)
    counted = np.isin(rows, np.arange(40)).sum() * np.isin(columns, np.arange(60)).sum()
    assert boxes_touching_image((40, 60), [[x, y]], box_px=10)[0] == (counted > 0)


def test_box_sizes_default_to_the_diameter():
    boxes = choose_boxes(1.77, 191)
    assert boxes == (162, 162, 60.75, 1.77)
    assert 1.5 * 191 / 1.77 <= boxes.box_px


@given(size=st.integers(16, 1024), pixel_size=st.decimals("0.3", "6", places=4), digits=st.sampled_from([6, 17]))
def test_a_box_given_in_angstrom_has_the_size_it_was_made_from(size, pixel_size, digits):
    box_px, pixel_size = even_fft_size(size), float(pixel_size)
    assert choose_boxes(pixel_size, 100, box_angstrom=float(f"{box_px * pixel_size:.{digits}g}")).box_px == box_px


def test_a_coarser_stack_keeps_the_box_in_angstrom():
    boxes = choose_boxes(1.77, 191, stack_pixel_size=3.5)
    assert boxes.size_px % 2 == 0
    assert boxes.size_px * boxes.pixel_size == pytest.approx(162 * 1.77)
    assert boxes.pixel_size == pytest.approx(3.5, rel=0.02)


def test_a_background_circle_beyond_the_box_is_refused():
    with pytest.raises(UserError, match=r"background_radius_angstrom: 400 Å does not fit into the box of 287 Å"):
        choose_boxes(1.77, 191, background_radius_angstrom=400)


@given(st.integers(8, 300), st.floats(0.5, 5), st.integers(1, 40))
def test_a_background_circle_as_wide_as_the_box_fits(half, pixel_size, coarser):
    box_angstrom = 2 * half * pixel_size
    options = {"box_angstrom": box_angstrom, "stack_pixel_size": pixel_size * (1 + coarser / 10)}
    boxes = choose_boxes(pixel_size, 100, **options)
    side_angstrom = boxes.size_px * boxes.pixel_size
    given = float(f"{side_angstrom / 2:.6g}")
    fitting = choose_boxes(pixel_size, 100, background_radius_angstrom=given, **options)
    assert boxes.size_px / 2 - 0.06 < fitting.bg_radius_px <= boxes.size_px / 2
