import numpy as np
import pytest
from scipy import ndimage

from crisp_core.errors import UserError
from crisp_core.formats.images import read_micrograph
from crisp_core.preparation.defects import dark_area, invalid_border, without_outliers
from crisp_core.preparation.normalization import prepare, robust

SHAPE, RADIUS_PX = (384, 512), 12


def twin(seed=0):
    """Twelve particles, 8 grey values darker than the background of 100 with a standard deviation of 5."""
    rng = np.random.default_rng(seed)
    centers = np.stack(np.meshgrid(np.arange(70, 512, 120), np.arange(70, 384, 120)), axis=-1).reshape(-1, 2)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    image = rng.normal(100, 5, SHAPE)
    for cx, cy in centers:
        image -= 8 * ((x - cx) ** 2 + (y - cy) ** 2 < RADIUS_PX**2)
    return image.astype(np.float32), centers


def found(image, centers):
    """How many particles a matched filter finds on the prepared image, and how many other peaks it gives."""
    prepared = prepare(image, 1.0, working_pixel_size=2.0, normalization="gaussian_mixture")
    y, x = np.mgrid[-8:9, -8:9]
    inside = x**2 + y**2 < (RADIUS_PX / 2) ** 2
    template = np.where(inside, 1 / inside.sum(), -1 / (~inside).sum())
    score = -ndimage.correlate(prepared.image, template, mode="constant")
    peaks = (score == ndimage.maximum_filter(score, 15)) & (score > 1.2) & prepared.valid
    xy = 2 * np.argwhere(peaks)[:, ::-1]
    near = np.hypot(*(xy[:, None] - centers[None]).transpose(2, 0, 1)) < RADIUS_PX
    return int(near.any(axis=0).sum()), int((~near.any(axis=1)).sum())


def twenty_hot(image, rng):
    image[rng.integers(0, SHAPE[0], 20), rng.integers(0, SHAPE[1], 20)] = 65535


def one_hot(image, rng):
    image[200, 300] = 1e6


def dead_column(image, rng):
    image[:, 250] = 0


def hot_half_row(image, rng):
    image[150, :256] = 65535


def weak_columns(image, rng):
    image[:, 250:253] -= 25


def dark_edges(image, rng):
    image[:, 0] -= 60
    image[-1] = 0


DEFECTS = [twenty_hot, one_hot, dead_column, hot_half_row, weak_columns, dark_edges]


@pytest.mark.parametrize("spoil", DEFECTS, ids=lambda spoil: spoil.__name__)
def test_bad_pixels_and_lines_cost_no_particle(spoil):
    image, centers = twin()
    assert found(image, centers) == (12, 0)
    spoil(image, np.random.default_rng(1))
    assert found(image, centers) == (12, 0)


def test_good_pixels_stay_as_they_are():
    image, _ = twin()
    spoiled = image.copy()
    twenty_hot(spoiled, np.random.default_rng(1))
    dead_column(spoiled, None)
    good = spoiled == image
    usable, spread = np.ones(SHAPE, bool), robust(image)
    clean = without_outliers(spoiled, usable, median=spread.mean, sd=spread.sd)
    np.testing.assert_array_equal(clean[good], image[good])
    assert np.abs(clean - image)[~good].max() < 6 * spread.sd
    np.testing.assert_array_equal(without_outliers(image, usable, median=spread.mean, sd=spread.sd), image)


def test_a_large_dark_thing_is_no_defect_of_the_camera():
    image, _ = twin()
    image[100:130, 100:130] = 0
    spread = robust(image)
    clean = without_outliers(image, np.ones(SHAPE, bool), median=spread.mean, sd=spread.sd)
    np.testing.assert_allclose(clean[104:126, 104:126], spread.mean - 10 * spread.sd, rtol=1e-5)


def test_one_hot_pixel_on_nothing_is_refused():
    image = np.full(SHAPE, 100, np.float32)
    image[5, 5] = 65535
    with pytest.raises(UserError, match="every valid pixel has the same value"):
        prepare(image, 1.0, working_pixel_size=2.0)


def dark_place(kind):
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return {
        "strip": x < 128,
        "corner": (x < 256) & (y >= 192),
        "beam": np.hypot(x - 300, y - 180) > 230,
        "frame": (x < 30) | (y < 30) | (x >= 482) | (y >= 354),
    }[kind]


@pytest.mark.parametrize("noise", [5.0, 1.5, 0.0])
@pytest.mark.parametrize("kind", ["strip", "corner", "beam", "frame"])
def test_dark_borders_are_masked_and_cost_nothing_else(kind, noise):
    image, centers = twin()
    dark = dark_place(kind)
    image[dark] = np.random.default_rng(2).normal(30, noise, int(dark.sum()))
    masked = dark_area(image, np.zeros(SHAPE, bool))
    assert masked[dark].all()
    assert not masked[ndimage.distance_transform_edt(~dark) > 10].any()
    depth = ndimage.distance_transform_edt(~dark)[centers[:, 1], centers[:, 0]]
    n_found, n_false = found(image, centers[depth > 2 * RADIUS_PX])
    assert n_found == (depth > 2 * RADIUS_PX).sum()
    assert n_false <= ((depth > 0) & (depth <= 2 * RADIUS_PX)).sum()


def test_few_counts_and_no_beam_in_a_corner():
    rng, dark = np.random.default_rng(0), dark_place("beam")
    image = rng.poisson(np.where(dark, 0.2, 8.0)).astype(np.float32)
    masked = dark_area(image, np.zeros(SHAPE, bool))
    assert masked[dark].all() and masked.mean() < dark.mean() + 0.1


@pytest.mark.parametrize("steepness", [0.1, 1.0, 10.0, 100.0])
def test_gradients_and_carbon_stay(steepness):
    image, _ = twin()
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    nothing = np.zeros(SHAPE, bool)
    assert not dark_area(image + steepness * 100 * x / SHAPE[1], nothing).any()
    assert not dark_area(image - steepness * 100 * np.hypot(x - 256, y - 192) ** 2 / 320**2, nothing).any()
    # a carbon film takes up to three standard deviations of a pixel
    assert not dark_area(image - 15 * (x < 130), nothing).any()


@pytest.mark.real
def test_masked_share_of_real_micrographs(shared_data):
    """Only streaked borders, and one micrograph of which an opaque grid bar covers a quarter."""
    paths = [*shared_data.glob("empiar-*/micrographs/*.[jp][pn]g"), *shared_data.glob("micassess/*/*.png")]
    assert len(paths) == 12 + 7 + 18
    dark = {}
    for path in paths:
        image, _ = read_micrograph(path, pixel_size=1.77)
        border = invalid_border(image)
        assert border.mean() < 0.08
        dark[path.stem] = float((dark_area(image, border) & ~border).mean())
    assert {stem[:15] for stem, share in dark.items() if share > 0} == {"19apr30a_grid1_"}
    assert max(dark.values()) == pytest.approx(0.25, abs=0.02)


def test_smeared_borders_are_found_to_the_line():
    image = np.random.default_rng(0).normal(size=(400, 300))
    assert not invalid_border(image).any()
    smeared = image.copy()
    smeared[:20] = smeared[20]
    smeared[:, -15:] = smeared[:, [-16]]
    expected = np.zeros(image.shape, bool)
    expected[:20], expected[:, -15:] = True, True
    np.testing.assert_array_equal(invalid_border(smeared), expected)


def test_frame_outside_the_smear_is_invalid_too():
    image = np.random.default_rng(0).normal(size=(400, 400))
    image[5:30] = image[30]
    assert invalid_border(image)[:30].all() and not invalid_border(image)[30:].any()


@pytest.mark.real
@pytest.mark.parametrize("name", ["Falcon_2012_06_12-14_33_35_0", "Falcon_2012_06_12-15_17_31_0"])
def test_streaked_borders_of_real_micrographs_are_found(shared_data, name):
    image, _ = read_micrograph(shared_data / f"empiar-10017/micrographs/{name}.jpg", pixel_size=1.77)
    rows = np.flatnonzero(~invalid_border(image)[:, 2048])
    columns = np.flatnonzero(~invalid_border(image)[2048])
    # Read off the pictures: 40 to 110 lines on every side, and nothing inside is lost.
    for first, last in ((rows[0], rows[-1]), (columns[0], columns[-1])):
        assert 40 <= first <= 110 and 40 <= 4095 - last <= 110
    assert (np.diff(rows) == 1).all()


@pytest.mark.real
def test_real_micrograph_without_streaks_loses_nothing(shared_data):
    image, _ = read_micrograph(shared_data / "empiar-10146/micrographs/May08_03.05.02.png", pixel_size=1.5)
    assert not invalid_border(image).any()
