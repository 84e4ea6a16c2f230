import time

import numpy as np
import pytest
from scipy import ndimage

from crisp_core.errors import UserError
from crisp_core.evaluation.matching import match_one_to_one
from crisp_core.picking.finders import FINDERS
from crisp_core.picking.finders.footprint import WORKING_DIAMETER_PX, footprint_score, working_map
from crisp_core.picking.search import find_centers
from tests.picking.discs import discs, scattered

finders = pytest.mark.parametrize("finder", FINDERS)


def found(image, finder, diameter_px, **settings):
    return find_centers(image, finder, diameter_px=diameter_px, **settings)[["x", "y"]].to_numpy()


def assert_found(image, finder, truth, diameter_px):
    """Every place within half a pixel of the grid that the finders work on, and nothing else."""
    xy = found(image, finder, diameter_px)
    assert len(xy) == len(truth)
    assert match_one_to_one(truth, xy, max_distance_px=0.5 * max(1, diameter_px // 24)).value.size == len(truth)


@finders
@pytest.mark.parametrize("diameter_px", [9.0, 27.0, 40.3])
def test_separate_discs_are_found_where_they_were_drawn(finder, diameter_px):
    truth = scattered(12, 8 * diameter_px, 1.4 * diameter_px, margin=0.7 * diameter_px, seed=2)
    assert_found(discs([int(8 * diameter_px)] * 2, truth, diameter_px), finder, truth, diameter_px)


@finders
def test_discs_on_a_fine_map_are_found_where_they_were_drawn(finder):
    truth = scattered(8, 500, 140, margin=60, seed=4)
    assert_found(discs((501, 503), truth, 108), finder, truth, 108)


@finders
@pytest.mark.parametrize("apart", [1.0, 1.05, 1.1])
@pytest.mark.parametrize("angle", [0, 0.4, 1.0])
def test_touching_discs_are_parted(finder, apart, angle):
    d = 28.0
    step = apart * d * np.array([np.cos(angle), np.sin(angle)])
    truth = np.array([40.3, 35.7]) + np.outer(np.arange(3), step)
    assert_found(discs((150, 150), truth, d), finder, truth, d)


@finders
def test_crowded_particles_are_parted(finder):
    # Outlines that merge into one: neighbours at 0.85 diameters.
    d = 27.0
    rows, columns = np.mgrid[0:5, 0:5] * 0.85 * d + 25.4
    truth = np.column_stack([columns.ravel(), rows.ravel()])
    xy = found(discs((160, 160), truth, d), finder, d)
    assert len(xy) == 25
    assert match_one_to_one(truth, xy, max_distance_px=d / 8).value.size == 25


@finders
def test_two_particles_that_overlap_by_half_are_told_by_their_area(finder):
    d = 27.0
    alone = scattered(10, 300, 1.5 * d, margin=30, seed=3)
    pair = np.array([[60.0, 340.0], [60 + 0.55 * d, 340.0]])
    truth = np.concatenate([alone, pair])
    xy = found(discs((400, 300), truth, d), finder, d)
    assert len(xy) == len(truth)
    assert match_one_to_one(truth, xy, max_distance_px=d / 6).value.size == len(truth)


@finders
@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("shape", [(97, 130), (5, 5)])
def test_empty_and_constant_maps_have_no_centre(finder, value, shape):
    table = find_centers(np.full(shape, value, dtype=np.float32), finder, diameter_px=27)
    assert table.shape == (0, 3)
    assert list(table.columns) == ["x", "y", "score"]


@finders
def test_noise_alone_scores_low(finder):
    noise = np.random.default_rng(0).random((200, 200)).astype(np.float32) * 0.2
    assert (find_centers(noise, finder, diameter_px=27)["score"] < 0.15).all()


def blurred_scene():
    d = 27.0
    truth = scattered(25, 243, 1.0 * d, margin=0.7 * d, seed=7)
    scene = discs((243, 243), truth, d) * 0.8
    noise = ndimage.gaussian_filter(np.random.default_rng(1).standard_normal(scene.shape), 3)
    return np.clip(scene + noise, 0, 1).astype(np.float32), d


@finders
def test_transposed_and_turned_maps_give_transposed_and_turned_centres(finder):
    image, d = blurred_scene()
    xy = found(image, finder, d, threshold=0.3)
    assert len(xy) >= 25
    turned = found(np.rot90(image), finder, d, threshold=0.3)
    for moved, expected in [
        (found(image.T, finder, d, threshold=0.3), xy[:, ::-1]),
        (turned, np.column_stack([xy[:, 1], image.shape[1] - 1 - xy[:, 0]])),
    ]:
        assert len(moved) == len(xy)
        # the contract of all finders; trackpy walks to a centroid in whole steps and may stop on the other side of it
        tolerance = 0.25 if finder in ("morphology", "nms") else 0.05 * d
        assert match_one_to_one(expected, moved, max_distance_px=tolerance).value.size == len(xy)


@finders
def test_same_map_gives_the_same_table_best_first(finder):
    image, d = blurred_scene()
    table = find_centers(image, finder, diameter_px=d)
    assert table.equals(find_centers(image.copy(), finder, diameter_px=d))
    assert table["score"].is_monotonic_decreasing
    assert table["score"].between(0.05, 1).all()
    assert np.isfinite(table.to_numpy()).all()


@finders
def test_score_means_the_same_for_every_finder(finder):
    image, d = blurred_scene()
    table = find_centers(image, finder, diameter_px=d)
    rows, columns = np.indices(image.shape)
    for x, y, score in table.iloc[::5].to_numpy():
        disc = np.hypot(columns - x, rows - y) <= d / 4
        assert score == pytest.approx(image[disc].mean(), abs=1e-6)


@finders
def test_scale_of_the_map_moves_no_centre(finder):
    # The same scene at 1, 2 and 4 times the pixels: the settings mean the same.
    truth = scattered(10, 243, 30, margin=20, seed=3)
    coarse = found(discs((240, 240), truth, 26), finder, 26)
    for factor in (2, 4):
        fine_truth = (truth + 0.5) * factor - 0.5
        fine = found(discs((240 * factor, 240 * factor), fine_truth, 26 * factor), finder, 26 * factor)
        assert len(fine) == len(coarse)
        assert match_one_to_one(coarse, (fine + 0.5) / factor - 0.5, max_distance_px=0.3).value.size == len(coarse)


@finders
def test_particle_cut_by_the_edge_is_found_inside_of_the_map(finder):
    image = discs((90, 100), [[2.0, 45.0], [60.0, 30.0]], 27)
    xy = found(image, finder, 27)
    assert len(xy) == 2
    assert ((xy >= 0) & (xy <= [99, 89])).all()
    assert match_one_to_one(np.array([[2.0, 45.0]]), xy, max_distance_px=27 / 4).value.size == 1


@finders
def test_threshold_keeps_what_reaches_it(finder):
    image, d = blurred_scene()
    table = find_centers(image, finder, diameter_px=d)
    threshold = table["score"].iloc[9]
    assert len(find_centers(image, finder, diameter_px=d, threshold=threshold)) == 10


@finders
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_map_that_is_not_finite_is_refused(finder, bad):
    image = np.zeros((40, 40))
    image[3, 4] = bad
    with pytest.raises(UserError) as error:
        find_centers(image, finder, diameter_px=10)
    assert str(error.value) == "probability map: has NaN or infinite values; rerun predict for this micrograph"


@finders
def test_too_small_a_diameter_is_refused(finder):
    with pytest.raises(UserError, match=r"particle is 3 px wide, too small .* at least 4 px"):
        find_centers(np.zeros((40, 40)), finder, diameter_px=3)


def test_unknown_finder_is_refused():
    with pytest.raises(UserError) as error:
        find_centers(np.zeros((40, 40)), "hough", diameter_px=10)
    assert str(error.value) == f"centers/finder: 'hough' is not known; use one of {', '.join(FINDERS)}"


def test_footprint_of_a_disc_at_the_edge_is_what_lies_inside():
    image = np.zeros((20, 20))
    image[:, :5] = 1
    rows, columns = np.indices(image.shape)
    disc = np.hypot(columns - 1.3, rows - 18.6) <= 4
    assert footprint_score(image, [[1.3, 18.6]], 16) == pytest.approx(image[disc].mean())


def test_footprints_in_many_chunks_equal_one_at_a_time():
    rng = np.random.default_rng(0)
    image, xy = rng.random((120, 130)), rng.uniform(0, 119, (60, 2))
    alone = [footprint_score(image, [place], 150)[0] for place in xy]
    np.testing.assert_allclose(footprint_score(image, xy, 150), alone)


def test_working_map_is_the_mean_over_blocks():
    image = np.random.default_rng(0).random((6, 8)).astype(np.float32)
    working = working_map(image, 2.0 * WORKING_DIAMETER_PX)
    assert (working.factor, working.diameter_px) == (2, WORKING_DIAMETER_PX)
    np.testing.assert_allclose(working.image, image.reshape(3, 2, 4, 2).mean(axis=(1, 3)), rtol=1e-6)
    assert working_map(image[:5, :7], 2.0 * WORKING_DIAMETER_PX).image.shape == (3, 4)


@finders
def test_a_large_confident_area_takes_no_longer_than_particles_do(finder):
    image = np.zeros((512, 512), dtype=np.float32)
    image[100:400, 50:450] = 1.0
    start = time.process_time()
    find_centers(image, finder, diameter_px=27)
    assert time.process_time() - start < 5


@finders
def test_faint_particles_are_found_everywhere_on_a_large_map(finder):
    places = np.array([[100.0, 100.0], [1900.0, 1900.0], [100.0, 1900.0]])
    image = np.zeros((2000, 2000), dtype=np.float32)
    for x, y in places.astype(int):
        image[y - 15 : y + 16, x - 15 : x + 16] = 0.12 * discs((31, 31), [[15, 15]], 28)
    distances = np.linalg.norm(places[:, None] - found(image, finder, 28), axis=-1)
    assert distances.min(axis=1).max() < 2
