"""Sizes and shapes of picks; the oracle is the formula of an ellipse."""

import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest
from scipy import ndimage

from crisp_core.picking.shapes import measure_shapes, picks_with_shapes, with_shapes
from crisp_core.picking.sizes import (
    ANGLE,
    AT_EDGE,
    DIAMETER,
    LONG_AXIS,
    MEAN_PROBABILITY,
    SHORT_AXIS,
    SOLIDITY,
    estimate_size,
    size_table,
    suggest_sizes,
)

D = 25.0
PIXEL_SIZE = 7.0


def ellipses(shape, xy, long_axis, short_axis, angles):
    """Ellipses of probability 1 with an edge one pixel soft; the angle in degrees is counterclockwise from x."""
    rows, columns = np.indices(shape)
    image = np.zeros(shape)
    for (x, y), angle in zip(xy, np.deg2rad(angles), strict=True):
        along = (columns - x) * np.cos(angle) - (rows - y) * np.sin(angle)
        across = (columns - x) * np.sin(angle) + (rows - y) * np.cos(angle)
        inside = 1 - np.hypot(along / (long_axis / 2), across / (short_axis / 2))
        image = np.maximum(image, np.clip(inside * short_axis / 2 + 0.5, 0, 1))
    return image


def places(n, apart, rng):
    """Square grid of n × n places, moved by up to a pixel."""
    step = np.arange(1, n + 1) * apart
    return np.array([(x, y) for y in step for x in step]) + rng.uniform(-1, 1, (n * n, 2))


@pytest.mark.parametrize("ratio", [1.0, 1.5, 2.5])
@pytest.mark.parametrize(("height", "blur_px", "noise"), [(1.0, 0, 0), (0.4, 0, 0), (1.0, 2.5, 0), (0.7, 2.5, 0.08)])
def test_ellipses_are_measured(ratio, height, blur_px, noise):
    rng = np.random.default_rng(3)
    long_axis, short_axis, apart = D * np.sqrt(ratio), D / np.sqrt(ratio), 52
    xy, angles = places(4, apart, rng), rng.uniform(-90, 90, 16)
    image = height * ndimage.gaussian_filter(ellipses((5 * apart,) * 2, xy, long_axis, short_axis, angles), blur_px)
    smooth_noise = ndimage.gaussian_filter(rng.normal(size=image.shape), 1)
    image = np.clip(image + noise * smooth_noise / smooth_noise.std(), 0, 1)
    found = measure_shapes(image, xy + rng.uniform(-2, 2, xy.shape), diameter_px=long_axis, pixel_size=PIXEL_SIZE)
    assert found[DIAMETER].median() == pytest.approx(D * PIXEL_SIZE, rel=0.05)
    assert (found[DIAMETER] / (D * PIXEL_SIZE)).between(0.93, 1.07).all()
    assert found[LONG_AXIS].median() == pytest.approx(long_axis * PIXEL_SIZE, rel=0.07)
    assert found[SHORT_AXIS].median() == pytest.approx(short_axis * PIXEL_SIZE, rel=0.1)
    assert (found[AT_EDGE] == 0).all()
    assert found[SOLIDITY].between(0.8 if noise else 0.9, 1.0).all()
    if ratio >= 1.5:
        assert (np.abs((found[ANGLE] - angles + 90) % 180 - 90) < 10).all()


def test_touching_particles_are_separated():
    rng = np.random.default_rng(4)
    xy = places(4, D + 1, rng)
    image = ellipses((int(5 * D) + 10,) * 2, xy, D, D, np.zeros(16))
    found = measure_shapes(ndimage.gaussian_filter(image, 1.5), xy, diameter_px=D, pixel_size=1.0)
    assert found[DIAMETER].median() == pytest.approx(D, rel=0.05)
    assert (found[DIAMETER] / D).between(0.92, 1.08).all()


def test_hollow_cut_and_missing_particles():
    xy = np.array([[40.0, 40.0], [0.0, 100.0], [100.0, 100.0]])
    image = ellipses((140, 140), xy[:2], D, D, (0, 0)) - 0.9 * ellipses((140, 140), xy[:1], 0.5 * D, 0.5 * D, (0,))
    found = measure_shapes(image, xy, diameter_px=D, pixel_size=1.0)
    assert found[DIAMETER][0] == pytest.approx(D, rel=0.05)
    assert list(found[AT_EDGE]) == [0, 1, 0]
    assert found[DIAMETER][2] == found[LONG_AXIS][2] == found[MEAN_PROBABILITY][2] == 0
    assert measure_shapes(image, np.zeros((0, 2)), diameter_px=D, pixel_size=1.0).empty


@pytest.mark.parametrize("size", [400, 401, 402, 403])
def test_a_particle_that_the_far_edge_cuts_is_cut_also_where_the_last_block_is_not_whole(size):
    # a particle of 100 px is measured in blocks of 4
    xy = np.array([[200.0, size - 1.0], [size - 1.0, 200.0], [200.0, 200.0]])
    image = ndimage.gaussian_filter(ellipses((size, size), xy, 100, 100, np.zeros(3)), 3, mode="nearest")
    assert list(measure_shapes(image, xy, diameter_px=100, pixel_size=1.0)[AT_EDGE]) == [1, 1, 0]


def test_a_fine_map_gives_the_same_sizes():
    xy = np.array([[30.0, 30.0], [70.0, 60.0]])
    image = ellipses((100, 100), xy, 1.2 * D, 0.8 * D, (20, -60))
    fine = measure_shapes(np.kron(image, np.ones((3, 3))), 3 * xy + 1, diameter_px=3 * D, pixel_size=1 / 3)
    pd.testing.assert_frame_equal(fine, measure_shapes(image, xy, diameter_px=D, pixel_size=1.0))


def test_picks_below_the_threshold_have_no_shape():
    image = ellipses((100, 100), [(50, 50)], D, D, (0,))
    found = pd.DataFrame({"x": [50.0, 10.0], "y": [50.0, 10.0], "score": [0.9, 0.1]})
    table = with_shapes(found, image, diameter_px=D, pixel_size=1.0, threshold=0.5)
    assert table[DIAMETER].isna().tolist() == [False, True]
    picks = picks_with_shapes(table[:1], psi_prior=True)
    assert picks["rlnAnglePsiPrior"].iloc[0] == picks[ANGLE].iloc[0]
    assert picks[AT_EDGE].dtype.kind == "i"


@pytest.mark.skipif(shutil.which("relion_stack_create") is None, reason="RELION is not on PATH: apt install relion")
def test_relion_turns_the_long_axis_along_x(tmp_path):
    """`relion_stack_create --apply_transformation` turns images by rlnAnglePsi."""
    import mrcfile

    image = ellipses((64, 64), [(32, 32)], 40, 16, (35,))
    angle = measure_shapes(image, [[32, 32]], diameter_px=40, pixel_size=1.0)[ANGLE][0]
    assert angle == pytest.approx(35, abs=2)
    with mrcfile.new(tmp_path / "in.mrcs") as file:
        file.set_data(image[None].astype(np.float32))
    (tmp_path / "in.star").write_text(
        "data_optics\n\nloop_\n_rlnOpticsGroup\n_rlnOpticsGroupName\n_rlnImagePixelSize\n_rlnImageSize\n"
        "_rlnImageDimensionality\n_rlnVoltage\n_rlnSphericalAberration\n_rlnAmplitudeContrast\n1 a 1 64 2 300 2.7 0.1\n"
        "\ndata_particles\n\nloop_\n_rlnImageName\n_rlnOpticsGroup\n_rlnAnglePsi\n_rlnOriginXAngst\n_rlnOriginYAngst\n"
        f"000001@in.mrcs 1 {angle} 0 0\n\n"
    )
    subprocess.run(
        ["relion_stack_create", "--i", "in.star", "--o", "out", "--apply_transformation"], cwd=tmp_path, check=True
    )
    with mrcfile.open(tmp_path / "out.mrcs") as file:
        turned = np.squeeze(file.data)
    assert measure_shapes(turned, [[32, 32]], diameter_px=40, pixel_size=1.0)[ANGLE][0] == pytest.approx(0, abs=2)


def shapes_table(n_micrographs, long_axis, spread, n=30):
    """Picks of several micrographs whose long axes are normal around a value."""
    rng = np.random.default_rng(5)
    long_axes = rng.normal(long_axis, spread, (n_micrographs, n)).ravel()
    return pd.DataFrame(
        {
            "micrograph": np.repeat([f"m{i}" for i in range(n_micrographs)], n),
            DIAMETER: long_axes,
            LONG_AXIS: long_axes,
            SHORT_AXIS: long_axes / 2,
            ANGLE: 0.0,
            SOLIDITY: 0.9,
            MEAN_PROBABILITY: 0.8,
            AT_EDGE: 0,
        }
    )


def test_the_interval_narrows_with_the_micrographs():
    few, many = (estimate_size(shapes_table(n, 150, 10)) for n in (8, 80))
    assert many.low_angstrom < many.diameter_angstrom < many.high_angstrom
    assert many.high_angstrom - many.low_angstrom < 0.7 * (few.high_angstrom - few.low_angstrom)
    assert (many.n_picks, many.n_micrographs) == (2400, 80)


def test_box_and_mask_follow_from_the_estimate():
    row = suggest_sizes(shapes_table(5, 150, 0), pixel_size=1.5, given_angstrom=180).iloc[0]
    # outlines of 150 Å are those of a particle of 174 Å
    assert row[["diameter_angstrom", "low_angstrom", "high_angstrom"]].tolist() == pytest.approx([174] * 3)
    assert row[["box_px", "box_angstrom", "mask_angstrom"]].tolist() == pytest.approx([180, 270, 191.4])
    assert suggest_sizes(shapes_table(1, 150, 0, n=19), pixel_size=1.5, given_angstrom=180)["box_px"].isna().all()


def test_the_table_leaves_out_cut_particles():
    picks = shapes_table(2, 150, 0)
    picks.loc[0, [LONG_AXIS, AT_EDGE]] = [9999, 1]
    table = size_table(picks).set_index("quantity")
    assert table.loc["long axis, Å", ["n_picks", "mean", "q05", "q95"]].tolist() == [59, 150, 150, 150]
    assert table.loc["axis ratio", "q50"] == 2
    assert (size_table(picks.iloc[:0])["n_picks"] == 0).all()
