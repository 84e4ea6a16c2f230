import numpy as np
import pytest

from crisp_core.simulation.library import extent_of_density
from crisp_core.simulation.micelle import MICELLE_ANGSTROM, Slab, hemisphere, most_hydrophobic_slab, with_micelle
from tests.densities import ball


def test_slab_is_where_hydrophobic_residues_are():
    rng = np.random.default_rng(3)
    positions = rng.uniform(-60, 60, (4000, 3))
    normal = np.array([2.0, -1.0, 2.0]) / 3
    hydropathy = np.where(np.abs(positions @ normal - 18) < 15, 3.0, -3.0)
    slab = most_hydrophobic_slab(positions, hydropathy)
    sign = np.sign(slab.normal @ normal)
    # the directions are about 7 degrees apart
    assert sign * slab.normal @ normal > np.cos(np.radians(7))
    assert sign * slab.offset == pytest.approx(18, abs=4)


def test_directions_cover_the_half_sphere_evenly():
    found = hemisphere(400)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1)
    wanted = np.random.default_rng(1).normal(size=(200, 3))
    wanted /= np.linalg.norm(wanted, axis=1)[:, None]
    assert np.abs(wanted @ found.T).max(axis=1).min() > np.cos(np.radians(7))


def test_belt_is_around_the_protein_within_the_membrane():
    protein = ball(40, 14, softness=0.3)
    slab = Slab(np.array([0.0, 0.0, 1.0]), 8.0)
    both = with_micelle(protein, slab, pixel_size=3.0, width_angstrom=24, level=0.6)
    pad = (len(both) - 40) // 2
    belt = both - np.pad(protein, pad)
    z, y, x = (np.mgrid[: len(both), : len(both), : len(both)] - len(both) // 2) * 3.0
    inside = belt > 0.1
    # a voxel is 3 Å, and the belt's rim is soft
    assert np.abs(z[inside] - 8).max() <= MICELLE_ANGSTROM + 3
    assert np.hypot(x, y)[inside].max() == pytest.approx(14 * 3 + 24, abs=5)
    assert belt[inside].max() == pytest.approx(0.6, abs=0.12)
    assert (belt[np.sqrt(x**2 + y**2 + z**2) < 12 * 3] < 0.02).all()
    assert extent_of_density(both) == pytest.approx(2 * (14 + 8), abs=2.5)
