import mrcfile
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crisp_core.formats.mrc import write_mrc
from crisp_core.particles.background import normalize_background
from crisp_core.particles.boxes import Boxes, boxes_touching_image, cut_boxes
from crisp_core.particles.extraction import CHANGED, OUTSIDE, extract_particles, extract_stack
from crisp_core.particles.rescaling import rescale_images
from tests.particles.noise_image import noise


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
