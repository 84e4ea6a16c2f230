import shutil

import mrcfile
import numpy as np
import pandas as pd
import pytest
from scipy.spatial.transform import Rotation

from crisp_core.errors import UserError
from crisp_core.formats.mrc import write_mrc
from crisp_core.formats.poses import ANGLE_LABELS, ORIGIN_LABELS, read_poses
from crisp_core.formats.relion_optics import optics_table
from crisp_core.formats.relion_particles import particles_table, write_particles_star
from crisp_core.particles.stacks import write_stack
from crisp_core.reconstruction import engines, matching, stacks
from crisp_core.reconstruction.aspire_map import choose_dissimilar
from crisp_core.reconstruction.engines import find_orientations, flip_phases, match_to_map
from crisp_core.reconstruction.matching import correlate, match_projections
from crisp_core.reconstruction.relion import restore_order
from crisp_core.simulation.centers import draw_rotations
from crisp_core.simulation.projections import project, shift_images
from crisp_core.simulation.volumes import phantom
from tests.densities import ball, contrast_transfer

SIZE, PIXEL_SIZE, DIAMETER_PX = 32, 8.0, 20.0
# The group by hand: D2 turns by 180° around each axis.
D2 = Rotation.from_matrix([np.diag(signs) for signs in ((1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1))])


@pytest.fixture(scope="module")
def density():
    return stacks.volume_in_box(phantom(DIAMETER_PX, seed=3), 1.0, 1.0, SIZE)


@pytest.fixture(scope="module")
def search(density):
    return matching.prepare_search(density, symmetry="D2", lowpass_px=3.0)


def make_particles(density, n, *, noise, seed=0, defocus=None):
    """Images of the density at random angles and shifts, with white noise in units of the image's deviation."""
    rng = np.random.default_rng(seed)
    euler_deg, shifts = draw_rotations(n, rng), rng.uniform(-2, 2, (n, 2))
    images = shift_images(project(density, euler_deg), shifts)
    if defocus is not None:
        s = np.hypot(*np.meshgrid(np.fft.rfftfreq(SIZE, PIXEL_SIZE), np.fft.fftfreq(SIZE, PIXEL_SIZE)))
        planes = np.stack([contrast_transfer(s, d) for d in defocus])
        images = np.fft.irfft2(np.fft.rfft2(images) * planes, s=(SIZE, SIZE))
    images = images + noise * images.std() * rng.standard_normal(images.shape)
    return images.astype(np.float32), euler_deg, shifts


def angle_error_deg(euler_deg, true_euler_deg):
    """Geodesic distance to the nearest of the symmetric copies, degrees."""
    found, true = (Rotation.from_euler("ZYZ", angles, degrees=True) for angles in (euler_deg, true_euler_deg))
    return np.degrees(np.min([((turn * true).inv() * found).magnitude() for turn in D2], axis=0))


def written(folder, images, *, defocus=None, name="particles"):
    """Optics and particles tables of images written to a stack."""
    stack = folder / f"{name}.mrcs"
    write_stack(stack, [images], size_px=SIZE, pixel_size=PIXEL_SIZE)
    n = len(images)
    table = pd.DataFrame({"micrograph": "m", "x": np.arange(n) * 40.0 + 7, "y": 9.0, "score": np.nan})
    particles = particles_table(table, stack=str(stack), micrograph_paths={"m": "m.mrc"})
    if defocus is not None:
        particles["rlnDefocusU"] = particles["rlnDefocusV"] = defocus
        particles["rlnDefocusAngle"] = 0.0
    optics = optics_table(
        voltage_kv=300,
        spherical_aberration_mm=2.7,
        amplitude_contrast=0.1,
        micrograph_pixel_size=PIXEL_SIZE,
        pixel_size=PIXEL_SIZE,
        box_px=SIZE,
    )
    return optics, particles


OPTIONS = {
    "diameter_angstrom": DIAMETER_PX * PIXEL_SIZE,
    "symmetry": "D2",
    "lowpass_angstrom": 3 * PIXEL_SIZE,
    "shift_range_angstrom": 3 * PIXEL_SIZE,
    "iterations": 3,
    "n_class_averages": 12,
    "threads": 2,
    "seed": 5,
}


@pytest.mark.parametrize(("symmetry", "order"), [("C1", 1), ("C4", 4), ("D2", 4), ("d7", 14), ("O", 24)])
def test_directions_cover_the_sphere_once_under_the_group(symmetry, order):
    step = 6.0
    grid = matching.direction_vectors(matching.direction_grid(step, symmetry))
    assert len(grid) == pytest.approx(4 * np.pi / np.radians(step) ** 2 / order, rel=0.1)
    copies = np.concatenate([turn.apply(grid) for turn in matching.symmetry_rotations(symmetry)])
    points = np.random.default_rng(0).normal(size=(500, 3))
    points /= np.linalg.norm(points, axis=1)[:, None]
    distance = np.degrees(np.arccos(np.clip((points @ copies.T).max(axis=1), -1, 1)))
    assert distance.max() < step
    # each orbit is met once: no two copies of different points are the same view
    assert np.median(np.sort(np.degrees(np.arccos(np.clip(copies @ copies.T, -1, 1))), axis=1)[:, 1]) > step / 2


def test_group_has_relions_axes():
    turns = matching.symmetry_rotations("D2").as_matrix()
    for axis in range(3):
        expected = -np.eye(3)
        expected[axis, axis] = 1
        assert np.isclose(turns, expected).all(axis=(1, 2)).any()
    main, side = np.array([0, 0, 1.0]), np.array([1.0, 0, 0])
    images = matching.symmetry_rotations("D3").apply(side)
    assert (
        np.isclose(images[:, 2], 0).all()
        and np.isclose(np.abs(matching.symmetry_rotations("D3").apply(main)[:, 2]), 1).all()
    )


def test_unknown_symmetry_is_named():
    with pytest.raises(UserError, match=r"^labels/reconstruction/symmetry: X9 is not a point group; give C1"):
        matching.symmetry_rotations("X9")


def test_turned_spectra_are_those_of_turned_projections(density):
    band = matching.frequency_band(SIZE, 0.3)
    found = matching.projection_spectra(
        density, np.array([[20.0, 65.0], [-130.0, 30.0]]), np.array([0.0, 35.0, 200.0]), band
    )
    euler_deg = [[rot, tilt, psi] for rot, tilt in found.directions_deg for psi in found.psi_deg]
    expected = matching.image_spectra(project(density, np.array(euler_deg)), band)
    np.testing.assert_allclose(found.spectra.reshape(expected.shape), expected, atol=2e-3 * np.abs(expected).max())


def test_band_holds_one_of_each_conjugate_pair():
    band = matching.frequency_band(8, 0.3)
    inside = [(x, y) for x in range(-3, 4) for y in range(-3, 4) if 0 < np.hypot(x, y) / 8 <= 0.3]
    assert len(band.frequency) == len(inside) / 2
    own = {tuple(pair) for pair in np.rint(band.frequency * 8).astype(int).tolist()}
    assert own | {(-x, -y) for x, y in own} == set(inside)


def test_correlations_are_those_of_the_images(density):
    images, _, _ = make_particles(density, 3, noise=1)
    band = matching.frequency_band(SIZE, 0.5)
    references = matching.projection_spectra(
        density, np.array([[10.0, 20.0], [50.0, 80.0]]), np.array([0.0, 90.0]), band
    )
    shifts = np.array([[0.0, 0.0], [2.0, -1.0]])
    spectra = matching.image_spectra(images, band)
    scores = correlate(spectra, np.ones(spectra.shape, np.float32), references.spectra, shifts, band)
    whole = project(
        density, [[rot, tilt, psi] for rot, tilt in references.directions_deg for psi in references.psi_deg]
    )

    def filtered(stack):
        # without the mean and what lies beyond the band
        spectrum = np.fft.rfft2(stack)
        kept = np.zeros(spectrum.shape[1:], dtype=bool)
        kept[band.rows, band.columns] = True
        kept[-band.rows[band.columns == 0], 0] = True
        return np.fft.irfft2(spectrum * kept, s=stack.shape[1:])

    for i, image in enumerate(images):
        for j, (x, y) in enumerate(shifts.astype(int)):
            moved = filtered(np.roll(image, (-y, -x), axis=(0, 1))[None])[0].ravel()
            expected = [np.corrcoef(moved, other.ravel())[0, 1] for other in filtered(whole)]
            found = scores[i, j].ravel() / np.linalg.norm(spectra[i])
            np.testing.assert_allclose(found, expected, atol=2e-3)


def test_matching_finds_known_rotations_and_shifts(density, search):
    images, euler_deg, shifts = make_particles(density, 60, noise=0)
    spectra = matching.image_spectra(images, search.band, diameter_px=DIAMETER_PX)
    found = match_projections(spectra, search, shift_range_px=3)
    # half a fine step in each of three angles is 4.3°
    assert np.median(angle_error_deg(found.euler_deg, euler_deg)) < 3.5
    assert np.percentile(angle_error_deg(found.euler_deg, euler_deg), 90) < 6
    np.testing.assert_allclose(found.offset_px, shifts, atol=0.5)
    assert found.correlation.min() > 0.97


def test_matching_bears_noise(density, search):
    images, euler_deg, shifts = make_particles(density, 60, noise=1)
    found = match_projections(
        matching.image_spectra(images, search.band, diameter_px=DIAMETER_PX), search, shift_range_px=3
    )
    assert np.median(angle_error_deg(found.euler_deg, euler_deg)) < 8
    assert np.median(np.abs(found.offset_px - shifts)) < 0.4


@pytest.mark.slow
def test_matching_needs_the_ctf_where_there_is_one(tmp_path, density):
    # at this defocus the CTF changes its sign within the band
    defocus = np.repeat([30000.0, 60000.0], 20)
    images, euler_deg, _ = make_particles(density, 40, noise=1, defocus=defocus)
    optics, particles = written(tmp_path, images, defocus=defocus)
    keys = ("diameter_angstrom", "symmetry", "lowpass_angstrom", "shift_range_angstrom")
    options = {key: OPTIONS[key] for key in keys} | {"lowpass_angstrom": 20.0}
    angles = list(ANGLE_LABELS.values())
    with_ctf = match_to_map(optics, particles, density, **options)
    without = match_to_map(optics, particles.drop(columns=["rlnDefocusU"]), density, **options)
    assert np.median(angle_error_deg(with_ctf[angles], euler_deg)) < 8
    assert with_ctf[engines.CORRELATION].mean() > without[engines.CORRELATION].mean() + 0.05


@pytest.mark.slow
def test_matching_is_the_same_however_particles_are_divided(density, search):
    images, _, _ = make_particles(density, 40, noise=1)
    spectra = matching.image_spectra(images, search.band, diameter_px=DIAMETER_PX)
    whole = match_projections(spectra, search, shift_range_px=2)
    parts = [match_projections(spectra[rows], search, shift_range_px=2) for rows in (slice(0, 7), slice(7, 40))]
    np.testing.assert_array_equal(whole.euler_deg, np.concatenate([part.euler_deg for part in parts]))
    np.testing.assert_array_equal(whole.offset_px, np.concatenate([part.offset_px for part in parts]))


@pytest.mark.slow
def test_poses_go_through_a_star_file_with_relions_sign(tmp_path, density):
    images, euler_deg, shifts = make_particles(density, 20, noise=0)
    optics, particles = written(tmp_path, images)
    posed, volume = find_orientations("matching", optics, particles, density, folder=tmp_path, **OPTIONS)
    write_particles_star(tmp_path / "poses.star", optics, posed)
    poses = read_poses(tmp_path / "poses.star")
    np.testing.assert_array_equal(volume, density)
    assert np.median(angle_error_deg(poses[["rot", "tilt", "psi"]], euler_deg)) < 4
    # the particle is at its coordinate minus the origin
    centers = poses[["x", "y"]].to_numpy() - poses[["origin_x_angstrom", "origin_y_angstrom"]].to_numpy() / PIXEL_SIZE
    np.testing.assert_allclose(
        centers - np.column_stack([np.arange(20) * 40.0 + 7, np.full(20, 9.0)]), shifts, atol=0.5
    )


def test_matching_without_a_map_is_refused(tmp_path, density):
    optics, particles = written(tmp_path, make_particles(density, 2, noise=0)[0])
    with pytest.raises(UserError, match=r"^labels/map: matching needs a map; give one"):
        find_orientations("matching", optics, particles, None, folder=tmp_path, **OPTIONS)


def test_flipped_phases_make_every_transfer_positive():
    rng = np.random.default_rng(0)
    truth = rng.standard_normal((2, SIZE, SIZE)).astype(np.float32)
    s = np.hypot(*np.meshgrid(np.fft.rfftfreq(SIZE, PIXEL_SIZE), np.fft.fftfreq(SIZE, PIXEL_SIZE)))
    planes = np.stack([contrast_transfer(s, d) for d in (20000.0, 40000.0)]).astype(np.float32)
    seen = np.fft.irfft2(np.fft.rfft2(truth) * planes, s=(SIZE, SIZE))
    expected = np.fft.irfft2(np.fft.rfft2(truth) * np.abs(planes), s=(SIZE, SIZE))
    np.testing.assert_allclose(flip_phases(seen, planes), expected, atol=1e-5)


def test_ctf_of_particles_is_relions(tmp_path):
    optics, particles = written(tmp_path, np.ones((3, SIZE, SIZE), np.float32), defocus=[20000.0, 30000.0, 20000.0])
    planes = engines.ctf_of_particles(optics, particles)
    s = np.hypot(*np.meshgrid(np.fft.rfftfreq(SIZE, PIXEL_SIZE), np.fft.fftfreq(SIZE, PIXEL_SIZE)))
    np.testing.assert_allclose(planes, [contrast_transfer(s, d) for d in (20000, 30000, 20000)], atol=1e-4)
    assert engines.ctf_of_particles(optics, particles.drop(columns="rlnDefocusV")) is None


@pytest.mark.parametrize(("pixel_size", "stack_pixel_size"), [(1.77, None), (0.5, None), (7.08, None), (1.77, 4.0)])
def test_coarse_boxes_are_fast_and_near_the_wanted_pixel_size(pixel_size, stack_pixel_size):
    boxes = stacks.coarse_boxes(pixel_size, 180, stack_pixel_size=stack_pixel_size)
    wanted = 180 / 25 if stack_pixel_size is None else stack_pixel_size
    left = boxes.size_px
    for prime in (2, 3, 5):
        while left % prime == 0:
            left //= prime
    assert left == 1 and boxes.size_px % 2 == 0
    assert boxes.box_px * pixel_size >= 1.5 * 180 and boxes.size_px <= boxes.box_px
    assert boxes.pixel_size == pytest.approx(wanted, rel=0.12)
    assert boxes.size_px * boxes.pixel_size == pytest.approx(boxes.box_px * pixel_size)


def test_coarse_boxes_never_enlarge():
    assert stacks.coarse_boxes(10.0, 180).pixel_size == 10.0


def test_images_are_read_in_the_order_of_their_names(tmp_path):
    first, second = (np.arange(3)[:, None, None] + np.full((3, 8, 8), 10.0 * i, np.float32) for i in (0, 1))
    for name, images in (("a", first), ("b", second)):
        write_stack(tmp_path / f"{name}.mrcs", [images.astype(np.float32)], size_px=8, pixel_size=1)
    names = [f"000003@{tmp_path}/b.mrcs", f"000001@{tmp_path}/a.mrcs", f"000002@{tmp_path}/b.mrcs"]
    assert stacks.read_images(names)[:, 0, 0].tolist() == [12, 0, 11]
    with pytest.raises(UserError, match=r"a\.mrcs: lacks images of its star file"):
        stacks.read_images([f"000004@{tmp_path}/a.mrcs"])


def test_the_image_of_a_stack_with_one_particle_is_read(tmp_path):
    image = np.arange(64, dtype=np.float32).reshape(1, 8, 8)
    write_stack(tmp_path / "one.mrcs", [image], size_px=8, pixel_size=1)
    np.testing.assert_array_equal(stacks.read_images([f"000001@{tmp_path}/one.mrcs"]), image)
    with pytest.raises(UserError, match=r"one\.mrcs: lacks images of its star file"):
        stacks.read_images([f"000002@{tmp_path}/one.mrcs"])


def test_a_mask_is_resampled_by_its_own_pixel_size(tmp_path):
    path = tmp_path / "mask.mrc"
    # a box of as many Å at 1 Å/px is no doubt that of the maps
    write_mrc(path, ball(64, 16), pixel_size=1.0, dtype=np.float32)
    assert stacks.read_mask(path, pixel_size=2.0, size_px=32).sum() == pytest.approx(ball(64, 16).sum() / 8, rel=0.05)
    write_mrc(path, ball(32, 8), pixel_size=4.0, dtype=np.float32)
    resampled = stacks.read_mask(path, pixel_size=2.0, size_px=64)
    assert resampled.shape == (64,) * 3 and 0 <= resampled.min() and resampled.max() <= 1
    assert resampled.sum() == pytest.approx(8 * ball(32, 8).sum(), rel=0.05)


@pytest.mark.parametrize(("stated", "size_px"), [(4.0, 32), (1.0, 32), (1.0, 64)])
def test_a_mask_whose_header_cannot_be_right_is_refused(tmp_path, stated, size_px):
    write_mrc(tmp_path / "mask.mrc", ball(32, 8), pixel_size=stated, dtype=np.float32)
    with pytest.raises(
        UserError, match=rf"mask\.mrc: its header states {stated:g} Å/px and 32 voxels a side, the maps"
    ):
        stacks.read_mask(tmp_path / "mask.mrc", pixel_size=2.0, size_px=size_px)


def test_particles_of_several_batches_are_joined_and_none_is_refused(tmp_path):
    optics, particles = written(tmp_path, np.ones((2, SIZE, SIZE), np.float32))
    write_particles_star(tmp_path / "0.star", optics, particles)
    write_particles_star(tmp_path / "1.star", optics, particles.iloc[:0])
    _, joined = stacks.read_particles([tmp_path / "1.star", tmp_path / "0.star"])
    assert joined["rlnImageName"].tolist() == particles["rlnImageName"].tolist()
    with pytest.raises(UserError, match=r"1\.star: contains no particles"):
        stacks.read_particles([tmp_path / "1.star"])


@pytest.mark.parametrize("size_px", [24, 40])
def test_volume_keeps_its_centre_in_another_box(size_px):
    moved = stacks.volume_in_box(ball(32, 6, (2, 0, -1)), 1.0, 1.0, size_px)
    expected = ball(size_px, 6, (2, 0, -1))
    np.testing.assert_allclose(moved, expected, atol=0.02)


def test_missing_relion_is_named_with_its_cure(tmp_path, density, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    optics, particles = written(tmp_path, make_particles(density, 2, noise=0)[0])
    with pytest.raises(UserError) as error:
        find_orientations("relion", optics, particles, density, folder=tmp_path, **OPTIONS)
    assert str(error.value) == (
        "relion_refine: not found; install RELION (Debian: apt install relion), "
        "or set labels/source to matching or aspire"
    )


def test_relions_table_is_put_into_the_given_order():
    given = pd.DataFrame({"rlnImageName": ["1@a", "2@a", "1@b"], "kept": [7, 8, 9]})
    refined = pd.DataFrame({"rlnImageName": ["1@b", "1@a", "2@a"]})
    for i, label in enumerate([*ANGLE_LABELS.values(), *ORIGIN_LABELS.values()]):
        refined[label] = np.array([3.0, 1.0, 2.0]) + 10 * i
    ordered = restore_order(refined, given)
    assert ordered["kept"].tolist() == [7, 8, 9]
    assert ordered["rlnAngleRot"].tolist() == [1, 2, 3] and ordered["rlnOriginYAngst"].tolist() == [41, 42, 43]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("relion_refine") is None, reason="relion_refine is not on PATH: apt install relion")
def test_relion_finds_known_rotations_and_shifts_again_with_the_same_seed(tmp_path, density):
    images, euler_deg, shifts = make_particles(density, 40, noise=0.5)
    optics, particles = written(tmp_path, images / images.std())
    results = []
    for name in ("first", "second"):
        folder = tmp_path / name
        folder.mkdir()
        results.append(find_orientations("relion", optics, particles, density, folder=folder, **OPTIONS))
    posed, volume = results[0]
    # relion's grid has 7.5° steps
    assert np.median(angle_error_deg(posed[list(ANGLE_LABELS.values())], euler_deg)) < 8
    errors = -posed[list(ORIGIN_LABELS.values())].to_numpy() / PIXEL_SIZE - shifts
    assert np.median(np.abs(errors)) < 0.5
    np.testing.assert_allclose(errors.mean(axis=0), 0, atol=0.2)
    assert np.corrcoef(volume.ravel(), density.ravel())[0, 1] > 0.9
    pd.testing.assert_frame_equal(posed, results[1][0])


@pytest.mark.slow
def test_aspire_finds_a_map_that_explains_the_particles(tmp_path, density, monkeypatch):
    monkeypatch.chdir(tmp_path)
    images, _, _ = make_particles(density, 220, noise=0.5)
    optics, particles = written(tmp_path, images / (0.5 * images.std()))
    posed, volume = find_orientations("aspire", optics, particles, None, folder=tmp_path, **OPTIONS)
    best = match_to_map(optics, particles, density, **{key: OPTIONS[key] for key in list(OPTIONS)[:4]})
    assert volume.shape == density.shape
    assert posed[engines.CORRELATION].mean() > best[engines.CORRELATION].mean() - 0.1
    with mrcfile.mmap(tmp_path / "particles.mrcs") as stack:
        assert len(stack.data) == len(posed)
    # nothing is left in the working directory
    assert not list(tmp_path.glob("volume*"))


def test_aspire_refuses_groups_it_cannot_do(tmp_path, density):
    optics, particles = written(tmp_path, make_particles(density, 2, noise=0)[0])
    with pytest.raises(
        UserError, match=r"aspire finds orientations with the symmetries Cn and D2 only, not O; give a subgroup"
    ):
        find_orientations("aspire", optics, particles, None, folder=tmp_path, **OPTIONS | {"symmetry": "O"})
    with pytest.raises(UserError, match=r"aspire needs at least 200 particles, but there are 2"):
        find_orientations("aspire", optics, particles, None, folder=tmp_path, **OPTIONS)


def test_dissimilar_classes_are_the_tightest_that_share_no_near_member():
    classes = np.array([[0, 1, 2], [1, 0, 2], [2, 1, 0], [3, 4, 5], [4, 3, 5], [5, 4, 3]])
    distances = np.array([[0, 2, 2], [0, 1, 1], [0, 3, 3], [0, 5, 5], [0, 4, 4], [0, 6, 6.0]])
    assert choose_dissimilar(classes, distances).tolist() == [1, 4]
