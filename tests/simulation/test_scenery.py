import numpy as np
import pytest
from scipy.spatial import cKDTree

from crisp_core.classes import CARBON, CONTAMINANT
from crisp_core.ctf import through_ctf
from crisp_core.simulation.carbon import carbon_depth, draw_carbon
from crisp_core.simulation.contaminants import OUTLINE_ANGLES, draw_contaminant
from crisp_core.simulation.micrograph import simulate_micrograph
from crisp_core.simulation.scenery import Scenery, class_map, draw_scenery, project_scenery
from crisp_core.simulation.settings import ScenerySettings
from crisp_core.simulation.volumes import phantom
from tests.simulation.test_noise import radial_mean

LENS = {"voltage_kv": 300.0, "spherical_aberration_mm": 2.7, "amplitude_contrast": 0.1}
SHAPE, PIXEL_SIZE, DIAMETER = (400, 500), 7.08, 180.0
OWN = {"seed": 1, "name": "a"}


def scenery_settings(**parts):
    """Section `scenery` with its defaults."""
    return ScenerySettings(**parts)


ALL = {
    "noise": {"coloured_share": 0.1, "falloff_angstrom": 5},
    "gradient": {"strength": 0.2},
    "solvent": {"texture": 0.1},
    "carbon": {"probability": 1, "hole_radius_angstrom": 3000},
    "ice": {"n_per_micrograph": [1, 3], "diameter_angstrom": [200, 600]},
    "ethane": {"n_per_micrograph": [2, 4]},
    "aggregates": {"n_per_micrograph": [1, 2]},
    "neighbours": {"share": 0.4},
}


@pytest.fixture(scope="module")
def particle():
    return phantom(DIAMETER / PIXEL_SIZE, seed=1)


def simulated(particle, name="a", seed=1, n=30, **parts):
    return simulate_micrograph(
        particle,
        name=name,
        seed=seed,
        shape=SHAPE,
        pixel_size=PIXEL_SIZE,
        n_particles=(n, n),
        min_distance_angstrom=150,
        margin_angstrom=DIAMETER / 2,
        defocus_angstrom=[20000.0],
        snr=0.1,
        snr_pixel_size=7.08,
        optics=LENS,
        scenery=scenery_settings(**parts),
    )


def class_at(micrograph):
    x, y = (micrograph.coordinates[axis].round().astype(int) for axis in "xy")
    return micrograph.scenery[y, x]


def test_carbon_covers_about_the_share_that_was_drawn():
    settings = scenery_settings(carbon={"probability": 1, "area_share": [0.2, 0.2], "hole_radius_angstrom": 20000})
    for i in range(12):
        carbon = draw_carbon(SHAPE, settings.carbon, pixel_size=PIXEL_SIZE, rng=np.random.default_rng(i))
        # Cutting a rectangle at a fifth of its extent leaves 8 % at a corner and 20 % along a side.
        share = (class_map(Scenery(carbon, (), np.empty((0, 2))), SHAPE) == CARBON).mean()
        assert 0.06 < share < 0.24
    never = scenery_settings().carbon
    assert draw_carbon(SHAPE, never, pixel_size=PIXEL_SIZE, rng=np.random.default_rng(0)) is None


def test_carbon_is_dark_and_grainy_and_its_edge_has_a_bright_fringe(particle):
    carbon = {"probability": 1, "area_share": [0.3, 0.3], "hole_radius_angstrom": 3000}
    seen = simulated(particle, n=1, carbon=carbon)
    on = seen.scenery == CARBON
    assert 0.05 < on.mean() < 0.5
    drawn = draw_scenery(SHAPE, scenery_settings(carbon=carbon), pixel_size=PIXEL_SIZE, diameter_px=25, **OWN)
    y, x = np.ogrid[: SHAPE[0], : SHAPE[1]]
    depth = carbon_depth(drawn.carbon, x, y)
    np.testing.assert_array_equal(on, depth > 0)
    ice, film = seen.clean[(depth < -40)], seen.clean[depth > 10]
    assert np.median(film) < np.median(ice) - 0.1 * film.std()
    assert film.std() > 3 * np.percentile(np.abs(ice - np.median(ice)), 68)
    profile = [np.median(seen.clean[(depth > d) & (depth <= d + 1)]) for d in range(-10, 0)]
    # Fresnel's fringe: just off the edge it is brighter than the ice by more than a tenth of the step.
    assert max(profile) > np.median(ice) + 0.1 * (np.median(ice) - np.median(film))


@pytest.mark.parametrize("crystal", [True, False])
def test_area_of_a_contaminant_in_the_class_map_is_that_of_its_outline(crystal):
    settings = scenery_settings(ice={"diameter_angstrom": [600, 800]}).ice
    for i in range(5):
        rng = np.random.default_rng(i)
        drawn = draw_contaminant(SHAPE, settings, pixel_size=4.0, crystal=crystal, rng=rng)._replace(x=200.3, y=190.8)
        n_pixels = (class_map(Scenery(None, (drawn,), np.empty((0, 2))), SHAPE) == CONTAMINANT).sum()
        area = np.sum(drawn.radii_px**2) / 2 * (OUTLINE_ANGLES[1] - OUTLINE_ANGLES[0])
        assert n_pixels == pytest.approx(area, rel=0.03)
        if not crystal:
            assert np.ptp(drawn.radii_px) == 0 and 75 <= drawn.radii_px[0] <= 100


def test_contaminants_are_dark_and_as_thick_as_was_drawn():
    settings = scenery_settings(ice={"n_per_micrograph": [1, 1], "texture": 0, "density": [3, 3]})
    scene = draw_scenery(SHAPE, settings, pixel_size=PIXEL_SIZE, diameter_px=25, **OWN)
    density, absorbed = project_scenery(scene, SHAPE, settings, offset_px=0, pixel_size=PIXEL_SIZE, **OWN)
    assert density.max() == pytest.approx(3, rel=1e-3)
    np.testing.assert_allclose(absorbed, 0.3 * density, rtol=1e-5)
    np.testing.assert_array_equal(density > 0, class_map(scene, SHAPE) == CONTAMINANT)


def test_a_contaminant_that_reaches_over_every_edge_is_cut():
    drawn = draw_contaminant(SHAPE, scenery_settings().ice, pixel_size=4.0, crystal=True, rng=np.random.default_rng(0))
    for x, y in [(0, 0), (SHAPE[1] - 1, SHAPE[0] - 1), (0, SHAPE[0] - 1), (-900, -900)]:
        scene = Scenery(None, (drawn._replace(x=x, y=y),), np.empty((0, 2)))
        whole = Scenery(None, (drawn._replace(x=x + 600, y=y + 600),), np.empty((0, 2)))
        large = class_map(whole, (SHAPE[0] + 1200, SHAPE[1] + 1200))
        np.testing.assert_array_equal(class_map(scene, SHAPE), large[600:-600, 600:-600])


@pytest.mark.parametrize("name", ["a", "b", "c", "d"])
def test_no_true_particle_stands_on_a_contaminant_or_on_carbon(particle, name):
    assert (class_at(simulated(particle, name=name, **ALL)) == 0).all()


@pytest.mark.slow
def test_particles_are_let_onto_carbon_at_the_stated_density(particle):
    carbon = {"probability": 1, "area_share": [0.6, 0.6], "hole_radius_angstrom": 30000}
    counts = [
        sum(
            (class_at(simulated(particle, name=name, carbon=carbon | {"particles": density})) == CARBON).sum()
            for name in "abc"
        )
        for density in (0, 0.3, 1)
    ]
    assert counts[0] == 0 and 0 < counts[1] < counts[2]


@pytest.mark.slow
def test_particles_are_as_dense_beside_carbon_as_without_it(particle):
    carbon = {"probability": 1, "area_share": [0.5, 0.5], "hole_radius_angstrom": 30000}
    seen = [simulated(particle, name=name, carbon=carbon) for name in "abcdef"]
    free = np.mean([(micrograph.scenery == 0).mean() for micrograph in seen])
    assert 0.3 < free < 0.7
    # The particles keep half a diameter from the edge, which takes room, too.
    assert 0.75 * 30 * free < np.mean([len(micrograph.coordinates) for micrograph in seen]) < 30 * free


def test_aggregates_are_clumps_below_a_diameter_and_contaminants_in_the_class_map(particle):
    aggregates = {"n_per_micrograph": [2, 2], "n_particles": [5, 5], "spacing_diameters": 0.4}
    diameter_px = DIAMETER / PIXEL_SIZE
    settings = scenery_settings(aggregates=aggregates)
    drawn = draw_scenery(SHAPE, settings, pixel_size=PIXEL_SIZE, diameter_px=diameter_px, **OWN).aggregates
    assert drawn.shape == (10, 2)
    assert cKDTree(drawn).query(drawn, k=2)[0][:, 1].max() <= 0.4 * diameter_px + 1e-6
    seen = simulated(particle, aggregates=aggregates)
    inside = drawn[((drawn >= 0) & (drawn < SHAPE[::-1])).all(axis=1)].astype(int)
    assert (seen.scenery[inside[:, 1], inside[:, 0]] == CONTAMINANT).mean() > 0.9
    # No particle of the truth among them, and nothing of them in what the label is made from.
    truth = seen.coordinates[["x", "y"]].to_numpy()
    assert cKDTree(drawn).query(truth)[0].min() >= diameter_px
    assert np.median(seen.ctf_free[seen.scenery == CONTAMINANT]) < 0.01 * seen.ctf_free.max()


def test_a_share_of_the_particles_stands_beside_another_one(particle):
    neighbours = {"share": 0.5, "distance_diameters": [0.7, 0.75]}
    xy = simulated(particle, neighbours=neighbours, n=30).coordinates[["x", "y"]].to_numpy()
    nearest = cKDTree(xy).query(xy, k=2)[0][:, 1] * PIXEL_SIZE / DIAMETER
    assert len(xy) == 30 and nearest.min() > 0.7 - 1e-6
    assert (nearest < 0.76).sum() >= 15
    alone = simulated(particle, n=30).coordinates[["x", "y"]].to_numpy()
    assert (cKDTree(alone).query(alone, k=2)[0][:, 1] * PIXEL_SIZE / DIAMETER < 0.76).sum() == 0


def test_solvent_is_seen_through_the_ctf(particle):
    power = 0
    for name in "abcdef":
        with_grain = simulated(particle, name=name, n=1, solvent={"texture": 0.5, "grain_angstrom": 3})
        difference = (with_grain.clean - simulated(particle, name=name, n=1).clean)[:400, :400]
        power += radial_mean(np.abs(np.fft.fft2(difference * np.hanning(400)[:, None] * np.hanning(400))) ** 2)
    delta = np.zeros((400, 400), np.float32)
    delta[0, 0] = 1
    optics = {"defocus_u_angstrom": 20000.0, "defocus_v_angstrom": 20000.0, "defocus_angle_deg": 0.0}
    transfer = np.fft.fft2(through_ctf(delta, pixel_size=PIXEL_SIZE, **LENS, **optics))
    envelope = np.exp(-((2 * np.pi * 3 * np.arange(200) / 400 / PIXEL_SIZE) ** 2))
    rings = slice(20, 190)
    expected = radial_mean(np.abs(transfer) ** 2) * envelope
    assert np.corrcoef(power[rings], expected[rings])[0, 1] > 0.97


def test_equal_names_and_seeds_give_equal_micrographs_whatever_was_made_before(particle):
    first, again = simulated(particle, name="a", **ALL), simulated(particle, name="a", **ALL)
    other = simulated(particle, name="b", **ALL)
    for kind in ("image", "clean", "ctf_free", "scenery"):
        np.testing.assert_array_equal(getattr(first, kind), getattr(again, kind))
        assert not np.array_equal(getattr(first, kind), getattr(other, kind))
    assert first.coordinates.equals(again.coordinates)


def test_switching_one_element_off_leaves_the_others_where_they_were():
    options = {"pixel_size": PIXEL_SIZE, "diameter_px": 25.0, **OWN}
    full = draw_scenery(SHAPE, scenery_settings(**ALL), **options)
    beads = len(draw_scenery(SHAPE, scenery_settings(ethane=ALL["ethane"]), **options).contaminants)
    for off in ("carbon", "ice", "aggregates"):
        rest = draw_scenery(SHAPE, scenery_settings(**{k: v for k, v in ALL.items() if k != off}), **options)
        for one, other in zip(rest.contaminants[-beads:], full.contaminants[-beads:], strict=True):
            assert one.x == other.x and one.density == other.density
        assert off == "carbon" or rest.carbon.x == full.carbon.x
        assert off == "aggregates" or np.array_equal(rest.aggregates, full.aggregates)
