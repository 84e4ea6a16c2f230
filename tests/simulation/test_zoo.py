import numpy as np
import pytest
import scipy.ndimage
from pydantic import ValidationError

from crisp_core.classes import CARBON, CONTAMINANT, PARTICLE
from crisp_core.ctf import ctf, through_ctf
from crisp_core.simulation.habits import Habits
from crisp_core.simulation.library import LibraryVolume, extent_of_density
from crisp_core.simulation.zoo import as_kind, draw_habits, draw_lens, draw_zoo
from crisp_core.simulation.zoo_micrograph import nominal_defocus, simulate_zoo_micrograph
from crisp_core.simulation.zoo_particles import contrast, outlines
from crisp_core.simulation.zoo_places import draw_orientations, draw_places, free_area
from crisp_core.simulation.zoo_scene import crystalline_ice, draw_scene
from crisp_core.simulation.zoo_settings import ZooSettings
from crisp_core.simulation.zoo_waste import fragment
from tests.densities import ball

BALL = LibraryVolume(ball(40, 15, softness=0.5), 30.0, 4.0)
LIBRARY = {"ball": BALL, "pair": LibraryVolume(np.maximum(ball(40, 6, (-9, 0, 0)), ball(40, 6, (9, 0, 0))), 30.0, 6.0)}
# Particles alone: nothing else on the micrograph, and files as the camera writes them.
PLAIN = {
    **dict.fromkeys(
        ("shells", "blobs", "mixed", "empty", "uneven", "oriented", "phase_plate", "film", "contaminated"), 0
    ),
    **dict.fromkeys(
        ("contaminated", "gold", "crystalline", "clumps", "broken", "lowpass", "denoised", "local_contrast"), 0
    ),
    **dict.fromkeys(("illumination", "border", "eight_bit"), 0),
    **{key: [0, 0] for key in ("coloured_share", "solvent", "gradient", "falloff_px", "astigmatism_angstrom")},
}
SIZE = {"shape": (256, 288), "diameter_px": 25.0, "pixel_size": 6.0, "voltage_kv": 300.0}


def simulated(name="m", library=LIBRARY, seed=1, **settings):
    return simulate_zoo_micrograph(ZooSettings(**settings), library, name=name, seed=seed, **SIZE)


def test_minimum_and_maximum_must_rise():
    with pytest.raises(ValidationError, match="more than the maximum"):
        ZooSettings(snr=[3, 1])
    with pytest.raises(ValidationError):
        ZooSettings(emtpy=0.5)


def test_micrograph_depends_on_its_name_and_the_seed_alone():
    first, again, other = simulated("a"), simulated("a"), simulated("b")
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.truth, again.truth)
    assert np.abs(first.image - other.image).max() > 0
    assert np.abs(first.image - simulated("a", seed=2).image).max() > 0


def test_extents_are_the_nominal_diameter_with_a_spread():
    settings = ZooSettings(**PLAIN)
    draws = [draw_zoo(settings, LIBRARY, name=f"m{i}", seed=1, diameter_px=25) for i in range(60)]
    extents = np.array([draw.kinds[0].extent_px for draw in draws])
    assert extents.min() >= 20 and extents.max() <= 30 and extents.std() == pytest.approx(10 / np.sqrt(12), rel=0.25)
    measured = [extent_of_density(draw.kinds[0].density) for draw in draws[:8]]
    np.testing.assert_allclose(measured, extents[:8], atol=2.0)
    # the ball is 30 · 4 = 120 Å, the pair 180 Å: their pixel size follows from the extent on the image
    for draw in draws:
        length = {"ball": 120, "pair": 180}[draw.kinds[0].source]
        assert draw.pixel_size * draw.kinds[0].extent_px == pytest.approx(length)


def test_shares_of_the_draws_are_those_of_the_settings():
    settings = ZooSettings(**{**PLAIN, "shells": 0.3, "blobs": 0.2, "empty": 0.4, "mixed": 0.5})
    draws = [draw_zoo(settings, LIBRARY, name=f"m{i}", seed=1, diameter_px=12) for i in range(200)]
    first = [draw.kinds[0].source for draw in draws]
    # within three standard deviations of a binomial of 200
    for share, found in ((0.3, first.count("shell")), (0.2, first.count("blob"))):
        assert found / 200 == pytest.approx(share, abs=0.1)
    assert np.mean([draw.coverage == 0 for draw in draws]) == pytest.approx(0.4, abs=0.11)
    assert np.mean([len(draw.kinds) == 2 for draw in draws]) == pytest.approx(0.5, abs=0.11)


def test_mean_projection_over_the_disc_is_one():
    kind = as_kind("ball", BALL, 25.0, 120.0)
    assert kind.density.sum() / (np.pi * 25**2 / 4) == pytest.approx(1, rel=1e-4)


def test_noise_has_the_asked_ratio_to_one_particle():
    found = simulated(library={"ball": BALL}, **{**PLAIN, "snr": [0.5, 0.5], "extent_spread": 0})
    noise = found.image - found.clean
    assert abs(noise.mean()) < 0.02 * noise.std()
    draw = draw_zoo(ZooSettings(**{**PLAIN, "extent_spread": 0}), {"ball": BALL}, name="/m", seed=1, diameter_px=25)
    # a ball looks the same from everywhere: one projection, on empty ground, through the lens
    projected = np.zeros((128, 128), dtype=np.float32)
    side = draw.kinds[0].density.shape[0]
    start = 64 - side // 2
    projected[start : start + side, start : start + side] = draw.kinds[0].density.sum(axis=0)
    y, x = np.mgrid[:128, :128] - 64
    expected = np.mean(through_ctf(projected, **draw.lens)[np.hypot(x, y) <= 12.5] ** 2)
    assert noise.var() == pytest.approx(expected / 0.5, rel=0.05)
    assert contrast(draw.kinds[0], draw.lens, np.random.default_rng(1)) == pytest.approx(expected, rel=0.03)


def test_coordinates_are_the_middles_of_outlines_and_particles_are_dark():
    found = simulated(
        library={"ball": BALL}, **{**PLAIN, "snr": [50, 50], "coverage": [0.1, 0.1], "distance_diameters": [1.3, 1.3]}
    )
    parts, n = scipy.ndimage.label(found.truth == PARTICLE)
    middles = np.array(scipy.ndimage.center_of_mass(parts > 0, parts, range(1, n + 1)))[:, ::-1]
    xy = found.coordinates[["x", "y"]].to_numpy()
    assert len(xy) > 8
    whole = [at for at in xy if 15 < at[0] < 272 and 15 < at[1] < 240]
    for at in whole:
        assert np.hypot(*(middles - at).T).min() < 0.8
        assert found.clean[round(at[1]), round(at[0])] < 0
    assert (xy >= 0).all() and (xy[:, 0] <= 287).all() and (xy[:, 1] <= 255).all()
    # also particles whose centre is beyond the edge are in the label
    assert n >= len(xy)
    distances = np.hypot(*(xy[:, None] - xy).transpose(2, 0, 1)) + 1e3 * np.eye(len(xy))
    assert distances.min() >= 1.3 * 25


def test_shells_are_labelled_as_discs():
    shell = (ball(40, 13) - ball(40, 10))[None].sum(axis=1)
    assert shell[0, 20, 20] < 0.6 * shell[0, 20].max()
    label = outlines(shell)[0]
    y, x = np.mgrid[:40, :40] - 20
    assert label[np.hypot(x, y) < 11].all() and not label[np.hypot(x, y) > 15].any()


def test_empty_and_crystalline_micrographs_have_no_particle():
    for setting in ("empty", "crystalline"):
        found = simulated(**{**PLAIN, setting: 1})
        assert not len(found.coordinates) and not found.truth.any()
        assert np.isfinite(found.image).all() and found.image.std() > 0


def test_scenery_has_its_classes_and_particles_keep_off_it():
    settings = {**PLAIN, "contaminated": 1, "crystals": [1, 1], "beads": [2, 2], "film": 1, "film_particles": 0}
    found = [simulated(f"m{i}", **settings) for i in range(6)]
    truth = np.concatenate([one.truth.ravel() for one in found])
    assert set(np.unique(truth)) == {0, PARTICLE, CONTAMINANT, CARBON}
    for one in found:
        x, y = one.coordinates[["x", "y"]].to_numpy().T.round().astype(int)
        film = scipy.ndimage.distance_transform_edt((one.truth != CARBON) & (one.truth != CONTAMINANT))
        # half a diameter, less the rounding
        assert not len(x) or film[y, x].min() > 12.5 - 1


def test_waste_is_contaminant_and_not_among_the_coordinates():
    clean = simulated(**{**PLAIN, "empty": 1, "clumps": 1, "broken": 1})
    assert not len(clean.coordinates)
    assert set(np.unique(clean.truth)) == {0, CONTAMINANT}


def test_covered_particles_are_no_truth():
    settings = {**PLAIN, "border": 1, "coverage": [0.4, 0.4]}
    for i in range(6):
        with_border = simulated(f"m{i}", **settings)
        without = simulated(f"m{i}", **{**settings, "border": 0})
        covered = with_border.truth != without.truth
        assert (with_border.truth[covered] == 0).all()
        assert len(with_border.coordinates) <= len(without.coordinates)
    assert with_border.drawn["border"]


def test_nominal_defocus_gives_the_same_ctf_on_the_same_pixels():
    lens = {"pixel_size": 3.1, "voltage_kv": 200.0, "spherical_aberration_mm": 0.0, "amplitude_contrast": 0.1}
    real = ctf((64, 64), **lens, defocus_u_angstrom=15000, defocus_v_angstrom=14000, defocus_angle_deg=30)
    u, v = (nominal_defocus(z, lens, pixel_size=6.0, voltage_kv=300.0) for z in (15000, 14000))
    nominal = lens | {"pixel_size": 6.0, "voltage_kv": 300.0}
    stated = ctf((64, 64), **nominal, defocus_u_angstrom=u, defocus_v_angstrom=v, defocus_angle_deg=30)
    np.testing.assert_allclose(stated, real, atol=1e-4)


def test_lens_and_habits_stay_within_their_ranges():
    settings = ZooSettings(phase_plate=0.5, defocus_angstrom=[5000, 9000], astigmatism_angstrom=[0, 0])
    lenses = [draw_lens(settings, 5.0, np.random.default_rng(i)) for i in range(100)]
    assert all(5000 <= lens["defocus_u_angstrom"] == lens["defocus_v_angstrom"] <= 9000 for lens in lenses)
    assert {lens["voltage_kv"] for lens in lenses} == {200, 300}
    assert 30 < sum(lens["phase_shift_deg"] > 0 for lens in lenses) < 70
    habits = [draw_habits(settings, np.random.default_rng(i), diameter_px=25) for i in range(300)]
    assert len({one.denoiser for one in habits}) == 5 and len({one.border for one in habits}) == 4
    assert np.mean([one.clipped_percent is not None for one in habits]) == pytest.approx(settings.eight_bit, abs=0.09)
    assert all(any(one.border_px) == (one.border is not None) for one in habits)


def test_plain_settings_have_no_habits():
    habits = draw_habits(ZooSettings(**PLAIN), np.random.default_rng(1), diameter_px=25)
    assert habits._replace(strength=0.5, window_px=64.0, illumination_center=(0.5, 0.5)) == Habits()


def test_free_area_keeps_its_distance():
    blocked = np.zeros((40, 50), dtype=bool)
    blocked[20, 0] = True
    free = free_area(blocked, keep_px=6, margin_px=5)
    assert free.shape == (50, 60)
    y, x = np.mgrid[:50, :60]
    # what is blocked at the edge is blocked beyond it: a row of pixels from x = 0 to 5
    expected = np.hypot(y - 25, np.maximum(x - 5, 0)) > 6
    np.testing.assert_array_equal(free, expected)


def test_places_are_free_and_apart_and_fewer_where_there_is_no_room():
    free = np.zeros((60, 60), dtype=bool)
    free[10:50, 10:50] = True
    xy = draw_places(free, 200, min_distance_px=10, weight=None, rng=np.random.default_rng(2))
    assert 8 <= len(xy) < 30
    assert (xy > 9).all() and (xy < 50).all()
    distances = np.hypot(*(xy[:, None] - xy).transpose(2, 0, 1)) + 1e3 * np.eye(len(xy))
    assert distances.min() >= 10
    assert not len(draw_places(~np.ones((9, 9), bool), 5, min_distance_px=1, weight=None, rng=np.random.default_rng(2)))


def test_preferred_orientation_differs_in_the_plane_alone():
    rot, tilt, psi = draw_orientations(50, 1e-6, np.random.default_rng(4)).T
    assert np.ptp(tilt) < 1e-3 and np.ptp(np.unwrap(rot, period=360)) < 1e-2
    assert psi.std() > 60
    assert draw_orientations(0, 10.0, np.random.default_rng(4)).shape == (0, 3)


@pytest.mark.parametrize("share", [0.15, 0.35])
def test_fragment_has_its_share_of_the_mass_on_one_side(share):
    density = ball(40, 14)
    part = fragment(density, share, np.random.default_rng(7))
    assert part.sum() / density.sum() == pytest.approx(share, abs=0.03)
    # a ball's cap: its middle is away from the ball's
    middle = np.array(scipy.ndimage.center_of_mass(part)) - 20
    assert np.linalg.norm(middle) > 3


def test_crystalline_ice_is_mottled_and_scene_is_made_of_matter():
    rng = np.random.default_rng(1)
    ice = crystalline_ice((128, 128), diameter_px=25, rng=rng)
    assert ice.shape == (128, 128) and ice.std() > 0.2
    settings = ZooSettings(**{**PLAIN, "film": 1, "gold_film": 1})
    scene = draw_scene(settings, (96, 96), (128, 128), offset_px=16, diameter_px=25, amount=1.0, rng=rng)
    film = scene.classes == CARBON
    inside = scene.absorbed[16:112, 16:112]
    assert inside[film].mean() > 1 and abs(inside[~film].mean()) < 0.2
    assert not scene.film_takes_particles
