import mrcfile
import numpy as np
import pytest
import starfile
from scipy import ndimage
from scipy.spatial.transform import Rotation

from crisp_core.aspire_import import quiet_aspire
from crisp_core.simulation import projections
from crisp_core.simulation.centers import draw_rotations
from crisp_core.simulation.projections import place_projections, project, shift_images
from tests.densities import ball


@pytest.mark.real
def test_projections_are_relions(shared_data):
    density = mrcfile.read(shared_data / "maps/aspire_clean70SRibosome_vol_65p.mrc")
    expected = mrcfile.read(shared_data / "interop/aspire_rln_proj_65.mrcs")
    table = starfile.read(shared_data / "interop/aspire_rln_proj_65.star")
    euler_deg = table[["rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"]].to_numpy()
    # In a box of odd side RELION's centre is one pixel farther right and down.
    images = np.roll(project(density, euler_deg), (1, 1), axis=(1, 2))
    for image, other in zip(images, expected, strict=True):
        assert np.corrcoef(image.ravel(), other.ravel())[0, 1] >= 0.99


@pytest.mark.parametrize("n", [32, 33])
def test_projections_are_aspires(n, monkeypatch):
    """In steps of three images, of a density without symmetry."""
    monkeypatch.setattr(projections, "PIXELS_PER_STEP", 3 * n**2 + 1)
    rng = np.random.default_rng(3)
    volume = ndimage.gaussian_filter(rng.normal(size=(n, n, n)), 1).astype(np.float32)
    euler_deg = draw_rotations(8, rng)
    with quiet_aspire():
        from aspire.volume import Volume
    matrices = Rotation.from_euler("ZYZ", euler_deg, degrees=True).as_matrix().astype(np.float32)
    # ASPIRE divides by the side of the box.
    expected = n * Volume(volume).project(matrices).asnumpy()
    np.testing.assert_allclose(project(volume, euler_deg), expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_projection_is_the_sum_along_z_and_keeps_the_mass():
    volume = ball(32, 6, (3, -2, 1)) + ball(32, 3, (-6, 4, 2))
    image = project(volume, np.zeros((1, 3)))[0]
    np.testing.assert_allclose(image, volume.sum(axis=0), atol=0.02 * image.max())
    sums = project(volume, draw_rotations(5, np.random.default_rng(0))).sum(axis=(1, 2))
    np.testing.assert_allclose(sums, volume.sum(), rtol=1e-3)


def test_projection_of_a_ball_is_where_the_rotation_takes_it():
    centre = np.array([7.0, -3.0, 4.0])
    euler_deg = draw_rotations(8, np.random.default_rng(2))
    images = project(ball(48, 4, centre, softness=1.0), euler_deg)
    # RELION's matrix is the transpose of the intrinsic ZYZ rotation: it takes the density into the image's frame.
    turned = Rotation.from_euler("ZYZ", euler_deg, degrees=True).inv().apply(centre)
    found = np.array([ndimage.center_of_mass(image) for image in images])[:, ::-1] - 24
    np.testing.assert_allclose(found, turned[:, :2], atol=0.05)


def test_no_rotations_give_no_projections():
    assert project(ball(16, 3), np.empty((0, 3))).shape == (0, 16, 16)


def test_shift_by_whole_pixels_rolls_and_by_fractions_moves_the_centre_of_mass():
    image = ball(32, 5)[16]
    rolled, moved = shift_images(np.stack([image, image]), np.array([[3, -2], [0.3, -0.45]]))
    np.testing.assert_allclose(rolled, np.roll(image, (-2, 3), axis=(0, 1)), atol=1e-5)
    np.testing.assert_allclose(
        ndimage.center_of_mass(moved), np.add(ndimage.center_of_mass(image), [-0.45, 0.3]), atol=0.01
    )


def test_particles_lie_at_their_coordinates_and_overlap_adds():
    spot = ball(24, 3)[12]
    xy = np.array([[30.3, 25.8], [70.0, 61.5]])
    image = place_projections((90, 110), np.stack([spot, spot]), xy)
    assert image.sum() == pytest.approx(2 * spot.sum(), rel=1e-4)
    for (x, y), half in zip(xy, (image[:44], image[44:]), strict=True):
        row, column = ndimage.center_of_mass(half)
        np.testing.assert_allclose([column, row + (44 if y > 44 else 0)], [x, y], atol=0.02)
    np.testing.assert_allclose(
        place_projections((90, 110), np.stack([spot] * 2), xy[[0, 0]]).max(), 2 * spot.max(), rtol=0.05
    )


def test_particle_over_the_edge_is_cut():
    spot = ball(24, 3)[12]
    whole = np.pad(spot, 30)
    image = place_projections((15, 18), spot[None], np.array([[1.0, 13.0]]))
    np.testing.assert_allclose(image, whole[42 - 13 : 42 + 2, 42 - 1 : 42 + 17], atol=1e-5)
    assert place_projections((15, 18), spot[None], np.array([[-50.0, 400.0]])).sum() == 0
