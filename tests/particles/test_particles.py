import mrcfile
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crisp_core.errors import UserError
from crisp_core.formats.mrc import write_mrc
from crisp_core.particles.background import normalize_background
from crisp_core.particles.boxes import Boxes, boxes_touching_image, choose_boxes, cut_boxes
from crisp_core.particles.extraction import CHANGED, OUTSIDE, extract_particles, extract_stack
from crisp_core.particles.rescaling import rescale_images
from crisp_core.particles.stacks import write_stack


def noise(shape=(40, 60), seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


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


@pytest.mark.parametrize(("box", "new_box"), [(16, 8), (16, 12), (8, 16), (8, 8), (4, 2)])
def test_rescaling_samples_a_band_limited_image_on_the_new_grid(box, new_box):
    rng = np.random.default_rng(1)
    limit = max(min(box, new_box) // 2 - 1, 0)
    steps = range(-limit, limit + 1)
    waves = [(u, v, *rng.normal(size=2)) for u in steps for v in steps if np.hypot(u, v) <= limit]

    def image(size):
        y, x = np.mgrid[:size, :size] / size
        return sum(a * np.cos(2 * np.pi * (u * x + v * y) + phase) for u, v, a, phase in waves)

    rescaled = rescale_images(image(box)[None], new_box)
    np.testing.assert_allclose(rescaled[0], image(new_box), atol=1e-4)


def test_enlarging_and_reducing_again_changes_no_frequency_within_the_circle():
    stack = noise((3, 12, 12))
    once = rescale_images(rescale_images(stack, 24), 12)
    frequencies = np.fft.fftfreq(12, 1 / 12)
    circle = np.hypot(*np.meshgrid(frequencies, frequencies)) < 6
    np.testing.assert_allclose(np.fft.fft2(once)[:, circle], np.fft.fft2(stack)[:, circle], atol=1e-4)


def test_normalising_equals_a_least_squares_plane_per_particle():
    stack = noise((4, 16, 16)) + 5 + 0.3 * np.arange(16) + 0.1 * np.arange(16)[:, None]
    y, x = np.mgrid[-8:8, -8:8]
    background = np.hypot(y, x) > 6
    normal_stack, normal = normalize_background(stack, bg_radius_px=6)
    assert normal.all()
    for particle, result in zip(stack, normal_stack, strict=True):
        design = np.stack([x[background], y[background], np.ones(background.sum())], axis=1)
        (a, b, c), *_ = np.linalg.lstsq(design, particle[background].astype(float), rcond=None)
        flat = particle - (a * x + b * y + c)
        np.testing.assert_allclose(result, flat / flat[background].std(), atol=1e-5)
        assert result[background].mean() == pytest.approx(0, abs=1e-5)
        assert result[background].std() == pytest.approx(1, abs=1e-5)


@settings(max_examples=25, deadline=None)
@given(scale=st.floats(0.01, 1000), offset=st.floats(-100, 100), slope=st.floats(-5, 5))
def test_normalising_forgets_scale_offset_and_tilt(scale, offset, slope):
    stack = noise((2, 16, 16)).astype(float)
    tilted = stack * scale + scale * (offset + slope * np.arange(16))
    expected, _ = normalize_background(stack, bg_radius_px=6)
    np.testing.assert_allclose(normalize_background(tilted, bg_radius_px=6)[0], expected, atol=1e-3)


@pytest.mark.parametrize("value", [0.0, 7.0, -1e6])
def test_constant_background_is_reported_and_not_nan(value):
    image = np.full((40, 60), value, np.float32)
    image[:, 30:] = noise()[:, 30:]
    extracted = extract_particles(image, [[10, 20], [45, 20], [500, 20]], box_px=16, bg_radius_px=6)
    assert list(extracted.reasons) == ["constant background", "", "box wholly outside the micrograph"]
    assert extracted.stack.shape == (1, 16, 16) and np.isfinite(extracted.stack).all()


def test_an_exact_plane_is_a_constant_background_too():
    ramp = 1000 + np.add.outer(np.arange(40), 3 * np.arange(60)).astype(np.float32)
    extracted = extract_particles(ramp, [[20, 20]], box_px=16, bg_radius_px=6)
    assert list(extracted.reasons) == ["constant background"] and extracted.stack.shape == (0, 16, 16)


def test_dark_protein_becomes_white():
    image = noise()
    image[15:25, 25:35] -= 20
    extracted = extract_particles(image, [[30, 20]], box_px=32, bg_radius_px=12)
    assert extracted.stack[0, 14:18, 14:18].mean() > 10
    plain = extract_particles(image, [[30, 20]], box_px=32, bg_radius_px=12, invert=False)
    np.testing.assert_array_equal(plain.stack, -extracted.stack)


def test_steps_follow_one_another_in_relions_order():
    image, xy = noise(), np.array([[30.7, 20.2], [3.0, 39.0]])
    stack = rescale_images(cut_boxes(image, xy, box_px=16), 12)
    expected = -normalize_background(stack, bg_radius_px=4.5)[0]
    extracted = extract_particles(image, xy, box_px=16, bg_radius_px=4.5, rescale_px=12)
    np.testing.assert_array_equal(extracted.stack, expected)


def test_no_coordinates_give_an_empty_stack():
    for rescale in (None, 8):
        extracted = extract_particles(noise(), np.empty((0, 2)), box_px=16, bg_radius_px=4, rescale_px=rescale)
        assert extracted.stack.shape == (0, rescale or 16, rescale or 16) and len(extracted.reasons) == 0


def test_odd_boxes_and_impossible_radii_are_programming_errors():
    with pytest.raises(ValueError, match="box_px must be even, not 15"):
        cut_boxes(noise(), [[20, 20]], box_px=15)
    with pytest.raises(ValueError, match="boxes must be even, not 16 and 9"):
        rescale_images(noise((1, 16, 16)), 9)
    with pytest.raises(ValueError, match="bg_radius_px must be between 0 and half the box of 16, not 9"):
        normalize_background(noise((1, 16, 16)), bg_radius_px=9)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_stack_comes_back_and_its_header_is_valid(tmp_path, dtype):
    stack = noise((7, 10, 10)).astype(dtype)
    path = tmp_path / "p.mrcs"
    chunks = (stack[a:b] for a, b in ((0, 3), (3, 3), (3, 7)))
    assert write_stack(path, chunks, size_px=10, pixel_size=3.54, dtype=dtype) == 7
    assert mrcfile.validate(path)
    with mrcfile.open(path) as mrc:
        np.testing.assert_array_equal(mrc.data, stack)
        assert mrc.is_image_stack() and mrc.data.dtype == dtype
        assert mrc.voxel_size.x == pytest.approx(3.54, rel=1e-6)
        assert float(mrc.header.rms) == pytest.approx(stack.astype(float).std(), rel=1e-5)
    again = tmp_path / "again.mrcs"
    write_stack(again, [stack], size_px=10, pixel_size=3.54, dtype=dtype)
    assert again.read_bytes() == path.read_bytes()


def test_empty_stack_has_a_readable_header(tmp_path):
    assert write_stack(tmp_path / "p.mrcs", [], size_px=10, pixel_size=1.0) == 0
    with mrcfile.open(tmp_path / "p.mrcs", header_only=True) as mrc:
        assert (mrc.header.nx, mrc.header.ny, mrc.header.nz) == (10, 10, 0)


def test_image_of_another_size_is_a_programming_error(tmp_path):
    with pytest.raises(ValueError, match="do not fit a stack of 10²"):
        write_stack(tmp_path / "p.mrcs", [noise((2, 8, 8))], size_px=10, pixel_size=1.0)


def test_box_sizes_default_to_the_diameter():
    boxes = choose_boxes(1.77, 191)
    assert boxes == (162, 162, 60.75, 1.77)
    assert 1.5 * 191 / 1.77 <= boxes.box_px


def test_a_coarser_stack_keeps_the_box_in_angstrom():
    boxes = choose_boxes(1.77, 191, stack_pixel_size=3.5)
    assert boxes.size_px % 2 == 0
    assert boxes.size_px * boxes.pixel_size == pytest.approx(162 * 1.77)
    assert boxes.pixel_size == pytest.approx(3.5, rel=0.02)


def test_a_background_circle_beyond_the_box_is_refused():
    with pytest.raises(UserError, match=r"background_radius_angstrom: 400 Å does not fit into the box of 287 Å"):
        choose_boxes(1.77, 191, background_radius_angstrom=400)


def test_a_stack_of_several_micrographs_holds_each_ones_particles_in_order(tmp_path):
    rng = np.random.default_rng(3)
    images = {name: rng.normal(size=(60, 70)).astype(np.float32) for name in ("b", "a")}
    for name, image in images.items():
        write_mrc(tmp_path / f"{name}.mrc", image, pixel_size=2.0, dtype=np.float32)
    paths = {name: str(tmp_path / f"{name}.mrc") for name in images}
    table = pd.DataFrame(
        {"micrograph": ["b", "a", "b", "b"], "x": [20.0, 30, 500, 40], "y": 25.0, "score": [1, 2, 3, 4]}
    )
    boxes = Boxes(box_px=16, size_px=12, bg_radius_px=4.5, pixel_size=2 * 16 / 12)
    kept, dropped = extract_stack(tmp_path / "s.mrcs", table, paths, boxes, pixel_size=2.0)
    assert kept["score"].tolist() == [1, 4, 2] and dropped["score"].tolist() == [3]
    assert dropped["reason"].tolist() == [OUTSIDE]
    stack = mrcfile.read(tmp_path / "s.mrcs")
    for image, row in zip(stack, kept.itertuples(), strict=True):
        alone = extract_particles(images[row.micrograph], [[row.x, row.y]], box_px=16, bg_radius_px=4.5, rescale_px=12)
        np.testing.assert_array_equal(image, alone.stack[0])


def test_micrographs_without_ctf_give_no_images_and_are_named(tmp_path, caplog):
    rng = np.random.default_rng(3)
    for name in ("a", "b"):
        write_mrc(tmp_path / f"{name}.mrc", rng.normal(size=(60, 70)), pixel_size=2.0, dtype=np.float32)
    paths = {name: str(tmp_path / f"{name}.mrc") for name in ("a", "b")}
    table = pd.DataFrame({"micrograph": ["a", "b", "a"], "x": [20.0, 30, 500], "y": 25.0, "score": [1, 2, 3]})
    boxes = Boxes(box_px=16, size_px=16, bg_radius_px=6, pixel_size=2.0)

    def extracted(*with_ctf):
        ctf = pd.DataFrame({"micrograph": pd.Series(with_ctf, dtype="str")})
        return extract_stack(tmp_path / "s.mrcs", table, paths, boxes, pixel_size=2.0, ctf=ctf)

    kept, dropped = extracted("a", "c")
    assert kept["score"].tolist() == [1] and mrcfile.read(tmp_path / "s.mrcs").size == 16**2
    reasons = dict(zip(dropped["score"], dropped["reason"], strict=True))
    assert reasons == {2: "micrograph without CTF", 3: OUTSIDE}
    assert "b: has no CTF; its coordinates get no particle images" in caplog.text
    kept, dropped = extracted("c")
    assert len(kept) == 0 and len(dropped) == 3
    with mrcfile.open(tmp_path / "s.mrcs", header_only=True) as mrc:
        assert int(mrc.header.nz) == 0


def test_a_micrograph_of_another_shape_or_damaged_costs_its_own_picks_alone(tmp_path, caplog):
    rng = np.random.default_rng(3)
    for name in "abc":
        write_mrc(tmp_path / f"{name}.mrc", rng.normal(size=(60, 70)), pixel_size=2.0, dtype=np.float32)
    (tmp_path / "c.mrc").write_bytes((tmp_path / "c.mrc").read_bytes()[:5000])
    paths = {name: str(tmp_path / f"{name}.mrc") for name in "abc"}
    table = pd.DataFrame({"micrograph": ["a", "b", "c", "b"], "x": 25.0, "y": 25.0, "score": [1, 2, 3, 4]})
    boxes = Boxes(box_px=16, size_px=16, bg_radius_px=6, pixel_size=2.0)
    shapes = {"a": (70, 60), "b": (60, 70), "c": (60, 70)}
    kept, dropped = extract_stack(tmp_path / "s.mrcs", table, paths, boxes, pixel_size=2.0, shapes=shapes)
    assert kept["score"].tolist() == [2, 4] and len(mrcfile.read(tmp_path / "s.mrcs")) == 2
    assert dropped["score"].tolist() == [1, 3] and set(dropped["reason"]) == {CHANGED}
    assert "a.mrc: has 70 × 60 pixels now, but had 60 × 70 when it was picked; run with" in caplog.text
    assert "c.mrc: truncated" in caplog.text


def test_half_precision_is_the_same_images_rounded(tmp_path):
    write_mrc(tmp_path / "a.mrc", noise((60, 70)), pixel_size=2.0, dtype=np.float32)
    table = pd.DataFrame({"micrograph": "a", "x": [20.0, 30, 40], "y": 25.0, "score": 1.0})
    boxes = Boxes(box_px=16, size_px=16, bg_radius_px=6, pixel_size=2.0)
    for name, half in (("full", False), ("half", True)):
        path, sources = tmp_path / f"{name}.mrcs", {"a": str(tmp_path / "a.mrc")}
        extract_stack(path, table, sources, boxes, pixel_size=2.0, float16=half)
    with mrcfile.open(tmp_path / "half.mrcs") as mrc:
        assert int(mrc.header.mode) == 12 and mrcfile.validate(tmp_path / "half.mrcs")
        np.testing.assert_array_equal(mrc.data, mrcfile.read(tmp_path / "full.mrcs").astype(np.float16))


@settings(max_examples=40)
@given(
    shape=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    half=st.integers(2, 12),
    new_half=st.integers(2, 12),
    n=st.integers(0, 6),
    seed=st.integers(0, 99),
)
def test_any_size_and_scale_gives_normal_images_and_a_reason_for_the_others(shape, half, new_half, n, seed):
    """Micrographs smaller than the box included; coordinates up to a box beyond the edges."""
    rng = np.random.default_rng(seed)
    image, box, size = rng.normal(size=shape).astype(np.float32), 2 * half, 2 * new_half
    xy = rng.uniform(-box, np.array(shape[::-1]) + box, (n, 2))
    radius = 0.375 * size
    stack, reasons = extract_particles(image, xy, box_px=box, rescale_px=size, bg_radius_px=radius)
    inside = boxes_touching_image(shape, xy, box_px=box)
    assert len(reasons) == n and len(stack) == np.sum(reasons == "")
    assert set(reasons[~inside]) <= {OUTSIDE} and OUTSIDE not in reasons[inside]
    y, x = np.mgrid[:size, :size] - size // 2
    background = np.hypot(y, x) > radius
    for one in stack:
        assert abs(one[background].mean()) < 1e-4 and one[background].std() == pytest.approx(1, abs=1e-3)
