from functools import partial

import numpy as np
import pytest
import scipy.ndimage

from crisp_core.labels.click_boxes import cut_boxes
from crisp_core.labels.click_choice import LOW_PASSES, WEIGHTS, simulate_like
from crisp_core.labels.clicks import grey_class, label_clicks
from crisp_core.labels.settings import ClickSettings
from crisp_core.segmentation.crf.smoothing import smoothed_marginals

DIAMETER_PX = 24.0
SHAPE = (220, 230)
DISC_PX = DIAMETER_PX / 4


def ellipses(seed, *, n=40, axes=(0.5, 0.28)):
    """Positions of ellipses at least 1.1 diameters apart, and their pixels, (h, w) with their numbers."""
    rng = np.random.default_rng(seed)
    xy, truth = [], np.zeros(SHAPE, dtype=int)
    y, x = np.indices(SHAPE)
    while len(xy) < n:
        place = rng.uniform(14, np.array(SHAPE[::-1]) - 14)
        if all(np.hypot(*(place - other)) > 1.1 * DIAMETER_PX for other in xy):
            angle = rng.uniform(0, np.pi)
            along = (x - place[0]) * np.cos(angle) + (y - place[1]) * np.sin(angle)
            across = (y - place[1]) * np.cos(angle) - (x - place[0]) * np.sin(angle)
            a, b = np.array(axes) * DIAMETER_PX
            xy.append(place)
            truth[(along / a) ** 2 + (across / b) ** 2 < 1] = len(xy)
    return np.array(xy), truth


def micrograph(truth, seed, *, noise):
    """Dark particles in correlated noise on uneven ice."""
    rng = np.random.default_rng(seed + 1000)
    grain = scipy.ndimage.gaussian_filter(rng.normal(size=SHAPE), 0.7)
    ice = scipy.ndimage.gaussian_filter(rng.normal(size=SHAPE), 40)
    return 0.5 * ice / ice.std() - (truth > 0) + noise * grain / grain.std()


def labelled(image, xy, *, diameter_px=DIAMETER_PX, **changes):
    settings = ClickSettings(**{"lowpass_diameters": 0.06, "weight": 2.0, **changes})
    smooth = partial(smoothed_marginals, gamma_px=settings.gamma_diameters * diameter_px)
    valid = np.ones(SHAPE, dtype=bool)
    options = {"diameter_px": diameter_px, "disc_radius_px": DISC_PX, "settings": settings, "smooth": smooth}
    return label_clicks(image, valid, xy, **options)


def iou(label, truth):
    return (label & truth).sum() / (label | truth).sum()


def brute_marginals(odds, *, gamma_px, weight, iterations=5):
    """Mean field of one tile (h, w), pair by pair."""
    y, x = (a.ravel() for a in np.indices(odds.shape))
    distance = (y[:, None] - y) ** 2 + (x[:, None] - x) ** 2
    kernel = np.exp(-distance / (2 * gamma_px**2))
    kernel /= kernel.sum(1, keepdims=True)
    q = 1 / (1 + np.exp(-odds.ravel()))
    for _ in range(iterations):
        q = 1 / (1 + np.exp(-(odds.ravel() + weight * (2 * (kernel @ q) - 1))))
    return q.reshape(odds.shape)


def test_smoothed_marginals_are_mean_field_pair_by_pair():
    odds = np.random.default_rng(0).normal(size=(2, 12, 10)) * 3
    found = smoothed_marginals(odds, gamma_px=1.4, weight=2.0)
    for tile, expected in zip(found, odds, strict=True):
        np.testing.assert_allclose(tile, brute_marginals(expected, gamma_px=1.4, weight=2.0), atol=1e-4)
    np.testing.assert_allclose(smoothed_marginals(odds, gamma_px=1.4, weight=0.0), 1 / (1 + np.exp(-odds)), atol=1e-6)


def test_pixels_know_the_nearest_coordinate():
    xy = np.array([[40.3, 50.7], [58.0, 52.0], [5.0, 7.0]])
    boxes = cut_boxes(np.zeros(SHAPE), np.ones(SHAPE, dtype=bool), xy, diameter_px=DIAMETER_PX, lowpass_px=1.0)
    for i, (mask_core, mask_free, mask_ring, corner) in enumerate(
        zip(boxes.core, boxes.free, boxes.ring, boxes.corners, strict=True)
    ):
        for row, column in np.ndindex(mask_core.shape):
            place = corner + np.array([column, row])
            distances = np.hypot(*(xy - place).T) / DIAMETER_PX
            inside = bool(np.all(place >= 0) and np.all(place < SHAPE[::-1]))
            own = inside and distances.argmin() == i
            assert mask_core[row, column] == (own and distances[i] < 0.15)
            assert mask_free[row, column] == (own and 0.15 <= distances[i] < 0.55)
            assert mask_ring[row, column] == (
                inside and 0.55 <= distances[i] < 0.9 and np.delete(distances, i).min() > 0.55
            )


def test_a_grey_class_has_the_weighted_mean_and_deviation():
    rng = np.random.default_rng(1)
    values, weights = rng.normal(size=50), rng.uniform(size=50)
    mean = np.average(values, weights=weights)
    expected = mean, np.sqrt(np.average((values - mean) ** 2, weights=weights))
    assert tuple(grey_class(values, weights)) == pytest.approx(expected)


def test_outlines_follow_the_particles_better_than_without_the_crf_and_than_discs():
    scores = []
    for seed in range(3):
        xy, truth = ellipses(seed)
        image = micrograph(truth, seed, noise=1.2)
        outlines, alone = (labelled(image, xy, weight=weight) for weight in (2.0, 0.0))
        assert outlines.refusal == ""
        disc = labelled(np.zeros(SHAPE), xy)
        scores.append([iou(one.instances > 0, truth > 0) for one in (outlines, alone, disc)])
        # each outline has the number of its coordinate
        same = (outlines.instances > 0) & (truth > 0)
        assert (outlines.instances[same] == truth[same]).mean() > 0.99
        area = np.pi * 0.5 * 0.28 * DIAMETER_PX**2
        assert outlines.diameter_px == pytest.approx(2 * np.sqrt(area / np.pi), rel=0.15)
    crf, control, disc = np.mean(scores, axis=0)
    assert crf > 0.7 and crf > control + 0.02 and crf > disc + 0.1


def test_bright_particles_and_masked_area_are_no_obstacle():
    xy, truth = ellipses(5)
    image = micrograph(truth, 5, noise=0.8)
    dark, bright = labelled(image, xy), labelled(-image, xy)
    np.testing.assert_array_equal(dark.instances, bright.instances)


@pytest.mark.parametrize("middle", [1.0, 0.0, -0.1])
def test_spheres_of_the_given_diameter_are_outlined_whole_even_if_their_middle_is_empty_or_bright(middle):
    xy, truth = ellipses(6, n=25, axes=(0.5, 0.5))
    _, cavities = ellipses(6, n=25, axes=(0.36, 0.36))
    image = micrograph(np.where(cavities, 0, truth), 6, noise=0.8) - middle * (cavities > 0)
    label = labelled(image, xy)
    assert not label.refusal
    assert iou(label.instances > 0, truth > 0) > 0.8
    assert label.diameter_px == pytest.approx(DIAMETER_PX, rel=0.12)


@pytest.mark.parametrize(("contrast", "reason"), [(0.0, "of its standard deviation"), (1.0, "the mean outline fills")])
def test_where_outlines_cannot_be_estimated_discs_are_taken_and_the_reason_is_told(contrast, reason):
    xy, _ = ellipses(2)
    # pixels of a dot in the middle of a coordinate, much smaller than the particle
    y, x = np.indices(SHAPE)
    dots = sum(((x - a) ** 2 + (y - b) ** 2 < 8).astype(float) for a, b in xy)
    noise = np.random.default_rng(0).normal(size=SHAPE)
    label = labelled(-30 * contrast * dots + 0.1 * noise, xy, lowpass_diameters=0.02)
    assert reason in label.refusal and np.isnan(label.diameter_px)
    area = (label.instances > 0).sum() / len(xy)
    assert area == pytest.approx(np.pi * DISC_PX**2, rel=0.05)


def test_unsure_pixels_are_at_the_rims_of_the_particles():
    xy, truth = ellipses(3)
    image = micrograph(truth, 3, noise=1.2)
    unsure = labelled(image, xy, unsure_margin=0.2).unsure
    rim = scipy.ndimage.binary_dilation(truth > 0, iterations=3) & ~scipy.ndimage.binary_erosion(
        truth > 0, iterations=3
    )
    assert 0.01 < unsure.mean() < 0.2 and unsure[rim].sum() > 0.8 * unsure.sum()
    assert not labelled(image, xy).unsure.any()


def test_low_pass_and_weight_are_chosen_from_the_micrograph_and_label_better_than_bad_ones():
    xy, truth = ellipses(4, n=15)
    image = micrograph(truth, 4, noise=1.2)
    chosen = labelled(image, xy, lowpass_diameters=None, weight=None)
    bad = [labelled(image, xy, weight=w, lowpass_diameters=p).instances > 0 for w in (1, 4) for p in (0.04, 0.11)]
    worst = min(iou(label, truth > 0) for label in bad)
    assert chosen.lowpass_diameters in LOW_PASSES and chosen.weight in WEIGHTS
    assert iou(chosen.instances > 0, truth > 0) > max(worst + 0.1, 0.6)
    # what the config gives stays
    assert labelled(image, xy, lowpass_diameters=0.05, weight=None).lowpass_diameters == 0.05


def test_a_micrograph_of_the_same_kind_has_the_contrast_and_the_noise_of_the_given_one():
    _, truth = ellipses(6, axes=(0.45, 0.35))
    image = micrograph(truth, 6, noise=1.0)
    made = simulate_like(image, np.ones(SHAPE, dtype=bool), truth, diameter_px=DIAMETER_PX)
    assert iou(made.truth, truth > 0) > 0.8
    assert made.image.std() == pytest.approx(image.std(), rel=0.15)
    contrasts = [one[truth > 0].mean() - one[truth == 0].mean() for one in (made.image, image)]
    assert contrasts[0] == pytest.approx(contrasts[1], rel=0.25)


def test_a_micrograph_like_one_of_hollow_particles_has_hollow_particles_with_whole_outlines():
    xy, truth = ellipses(7, n=20, axes=(0.5, 0.5))
    y, x = np.indices(SHAPE)
    near = np.hypot(x - xy[:, 0, None, None], y - xy[:, 1, None, None]).min(axis=0)
    middle, wall = near < 0.3 * DIAMETER_PX, (truth > 0) & (near > 0.4 * DIAMETER_PX)
    noise = scipy.ndimage.gaussian_filter(np.random.default_rng(7).normal(size=SHAPE), 0.7)
    image = noise - wall
    made = simulate_like(image, np.ones(SHAPE, dtype=bool), truth, diameter_px=DIAMETER_PX)
    assert iou(made.truth, truth > 0) > 0.85 and made.truth[middle].all()
    for one in (image, made.image):
        assert one[wall].mean() < one[middle].mean() - 0.6 and one[middle].mean() > one[truth == 0].mean() - 0.3


def test_carbon_is_not_noise_of_a_micrograph_of_the_same_kind():
    _, truth = ellipses(8, n=20, axes=(0.45, 0.35))
    image = micrograph(truth, 8, noise=1.0)
    carbon = np.where(np.arange(SHAPE[1]) > 150, 8.0, 0.0)
    made = simulate_like(image + carbon, np.ones(SHAPE, dtype=bool), truth, diameter_px=DIAMETER_PX)
    assert made.image.std() < 0.5 * (image + carbon).std()


def test_no_coordinates_give_an_empty_label():
    label = labelled(np.zeros(SHAPE), np.empty((0, 2)))
    assert not label.instances.any() and label.refusal
