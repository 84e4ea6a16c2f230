import logging
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import ndimage

from crisp_core.errors import UserError
from crisp_core.formats.arrays import Grid, array_names, read_array, write_array
from crisp_core.formats.mrc import write_mrc
from crisp_core.formats.relion_coordinates import write_coordinates_star
from crisp_core.formats.volumes import read_volume
from crisp_core.labels.discs import disc_label
from crisp_core.labels.outlines import (
    LABELLED_BY_DISC,
    LEFT_OUT,
    OUTLINE_THRESHOLDS,
    WITHOUT_COORDINATE,
    Outline,
    disc_outlines,
    equivalent_radius_px,
    label_particles,
    map_mask,
    match_poses,
    merge_outlines,
    outline_density,
    project_outlines,
)
from crisp_core.labels.settings import OutlineThreshold
from crisp_core.labels.thresholds import threshold_label
from crisp_core.simulation.centers import draw_rotations
from crisp_core.simulation.micrograph import simulate_micrograph
from crisp_core.simulation.volumes import low_pass_volume, phantom, resample_volume
from tests.densities import ball
from tests.pose_files import write_poses
from tests.workflow.conftest import run_snakemake, write_config

ROOT = Path(__file__).parents[2]
CROWDED = {
    "seed": 3,
    "n_particles": (110, 130),
    "min_distance_angstrom": 150.0,
    "margin_angstrom": 0.0,
    "defocus_angstrom": [20000.0],
    "snr": 0.005,
    "snr_pixel_size": 1.77,
    "optics": {"voltage_kv": 300.0, "spherical_aberration_mm": 2.7, "amplitude_contrast": 0.1},
}
OUTLINES = {"pixel_size": 7.08, "lowpass_angstrom": 20, "threshold": "li"}


def iou(label, truth):
    label, truth = label > 0, truth > 0
    return (label & truth).sum() / (label | truth).sum()


def pose_table(xy, *, euler_deg=None, origins=0.0, micrograph="a"):
    table = pd.DataFrame({"micrograph": micrograph, "x": xy[:, 0], "y": xy[:, 1]})
    table[["rot", "tilt", "psi"]] = np.zeros((len(xy), 3)) if euler_deg is None else euler_deg
    table[["origin_x_angstrom", "origin_y_angstrom"]] = np.broadcast_to(origins, (len(xy), 2)).astype(float)
    return table


def projected(shape, density, xy, euler_deg, *, threshold="li"):
    outlines = project_outlines(density, xy, euler_deg, threshold=threshold)
    return merge_outlines(shape, range(1, len(xy) + 1), outlines)


def test_low_pass_halves_the_amplitude_at_its_resolution():
    x = np.arange(32) * 2.0
    for period, share in ((16.0, 0.5), (32.0, 0.5**0.25), (8.0, 0.5**4)):
        wave = np.broadcast_to(3 + np.cos(2 * np.pi * x / period), (32, 32, 32))
        np.testing.assert_allclose(low_pass_volume(wave, 2.0, 16.0) - 3, share * (wave - 3), atol=1e-5)
    assert low_pass_volume(wave, 2.0, 0) is wave


def test_mask_of_a_map_has_no_specks_and_no_holes():
    z, y, x = np.mgrid[:40, :40, :40] - 20
    body = z**2 + y**2 + (x - 2) ** 2 <= 81
    partner = z**2 + y**2 + (x + 14) ** 2 <= 20
    cavity = z**2 + y**2 + (x - 2) ** 2 <= 9
    speck = (abs(z - 17) <= 1) & (abs(y) <= 1) & (abs(x) <= 1)
    assert 27 < 0.1 * body.sum() < partner.sum()
    density = (body & ~cavity | partner | speck).astype(np.float32)
    np.testing.assert_array_equal(map_mask(density), body | partner)


def test_density_of_outlines_is_the_masked_map_cut_close_and_does_not_know_its_box():
    volume = ball(48, 8, softness=1.0) - 0.05
    mask = ball(48, 9, softness=0.1)
    density = outline_density(volume, mask, pixel_size=2.0, lowpass_angstrom=0, threshold="li")
    assert len(density) < 26
    m = len(density) // 2
    inside = np.s_[24 - m : 24 + m]
    np.testing.assert_allclose(density, (volume * mask)[inside, inside, inside], atol=1e-6)
    large = (np.pad(array, 8) for array in (volume, mask))
    np.testing.assert_array_equal(outline_density(*large, pixel_size=2.0, lowpass_angstrom=0, threshold="li"), density)
    thickness = outline_density(None, mask, pixel_size=2.0, lowpass_angstrom=0, threshold="li")
    np.testing.assert_allclose(thickness, mask[inside, inside, inside], atol=1e-6)
    silhouette = outline_density(volume, mask, pixel_size=2.0, lowpass_angstrom=0, threshold="silhouette")
    np.testing.assert_array_equal(silhouette, (mask > 0.5)[inside, inside, inside])


def test_maps_and_masks_that_cannot_be_used_are_refused():
    options = {"pixel_size": 2.0, "lowpass_angstrom": 0, "threshold": "li"}
    with pytest.raises(UserError) as error:
        outline_density(ball(32, 5), ball(40, 5), **options)
    assert str(error.value) == (
        "labels/mask: has 40 voxels per side at the pixel size of the labels, but labels/map has 32; "
        "give a mask for this map"
    )
    with pytest.raises(UserError, match=r"^labels: the mask of the map is empty; give another map or mask$"):
        outline_density(ball(32, 5), np.zeros((32, 32, 32)), **options)


@pytest.mark.parametrize("threshold", ["li", "silhouette"])
def test_outline_of_a_ball_is_a_disc_at_its_place_to_a_fraction_of_a_pixel(threshold):
    hard = (ball(40, 9, softness=0.1) > 0.5).astype(np.float32)
    density = outline_density(None, hard, pixel_size=1.0, lowpass_angstrom=0, threshold=threshold)
    xy = np.array([[30.0, 26.0], [70.4, 33.7], [110.5, 28.25]])
    label = projected((60, 140), density, xy, draw_rotations(3, np.random.default_rng(0)), threshold=threshold)
    for number, place in enumerate(xy, start=1):
        y, x = ndimage.center_of_mass(label == number)
        np.testing.assert_allclose([x, y], place, atol=0.15)
    radius = 9.2 if threshold == "silhouette" else 8.8
    assert iou(label, disc_label(label.shape, xy, radius_px=radius)) > 0.9
    assert equivalent_radius_px(density, threshold=threshold) == pytest.approx(radius, abs=0.3)


def test_particles_at_the_border_are_cut():
    density = outline_density(ball(32, 7, (2, 1, 0)), None, **OUTLINES | {"lowpass_angstrom": 0})
    xy = np.array([[1.3, 20.0], [48.7, -2.0], [20.0, 39.9], [-40.0, 90.0]])
    turns = draw_rotations(4, np.random.default_rng(1))
    label = projected((40, 50), density, xy, turns)
    large = projected((100, 110), density, xy + 30, turns)
    np.testing.assert_array_equal(label, large[30:70, 30:80])
    assert set(np.unique(label)) == {0, 1, 2, 3}


def test_where_outlines_overlap_the_nearest_centre_wins_and_the_label_is_their_union():
    rng = np.random.default_rng(0)
    xy = rng.uniform(-4, 60, (40, 2))
    shape, radius = (48, 57), 7.3
    numbers = rng.permutation(40) + 1
    instances = merge_outlines(shape, numbers, disc_outlines(xy, radius_px=radius))
    y, x = np.mgrid[: shape[0], : shape[1]]
    distances = np.array([np.hypot(x - a, y - b) for a, b in xy])
    expected = np.where(distances.min(axis=0) <= radius, numbers[distances.argmin(axis=0)], 0)
    np.testing.assert_array_equal(instances, expected)
    assert instances.dtype == np.int32
    np.testing.assert_array_equal(instances > 0, disc_label(shape, xy, radius_px=radius))


def test_of_two_particles_as_near_the_first_wins():
    square = np.ones((3, 3), dtype=bool)
    outlines = [Outline(square, (1, 1), (2.0, 2.0)), Outline(square, (1, 1), (2.0, 2.0))]
    assert set(np.unique(merge_outlines((5, 5), [8, 9], outlines))) == {0, 8}


def test_nothing_to_label_is_background():
    assert merge_outlines((5, 6), [], []).tolist() == np.zeros((5, 6)).tolist()
    assert list(project_outlines(ball(8, 2), np.empty((0, 2)), np.empty((0, 3)), threshold="li")) == []


def test_matching_takes_the_nearest_pair_first_and_each_once():
    xy = np.array([[0.0, 0.0], [3.0, 0.0], [50.0, 50.0], [80.0, 0.0]])
    pose_xy = np.array([[80.0, 4.0], [2.0, 0.0], [-3.0, 0.0], [50.0, 56.0], [2.5, 0.0]])
    matched = match_poses(xy, pose_xy, tolerance_px=5)
    assert matched.particles.tolist() == [0, 1, 3] and matched.poses.tolist() == [1, 4, 0]
    assert matched.without_orientation.tolist() == [2]
    assert matched.without_coordinate.tolist() == [2, 3]
    nothing = match_poses(np.empty((0, 2)), pose_xy, tolerance_px=5)
    assert len(nothing.particles) == 0 and nothing.without_coordinate.tolist() == [0, 1, 2, 3, 4]
    assert match_poses(xy, np.empty((0, 2)), tolerance_px=5).without_orientation.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(("radius_angstrom", "what"), [(20.0, LABELLED_BY_DISC), (None, LEFT_OUT)])
def test_particles_without_orientation_get_a_disc_or_are_left_out_and_are_listed(radius_angstrom, what):
    # the micrograph has 4 Å/px, 160 × 200 pixels; the label half of that
    grid = Grid((80, 100), 8.0, (160, 200))
    coordinates = pd.DataFrame({"micrograph": "a", "x": [40.0, 120.0, 60.0], "y": [50.0, 60.0, 120.0]})
    poses = pose_table(np.array([[61.0, 119.0], [150.0, 150.0], [40.0, 50.0]]), origins=(16.0, -8.0))
    density = outline_density(ball(24, 6), None, pixel_size=8.0, lowpass_angstrom=0, threshold="li")
    instances, unmatched = label_particles(
        coordinates,
        poses,
        grid,
        density,
        threshold="li",
        tolerance_angstrom=20,
        disc_radius_angstrom=radius_angstrom,
    )
    # position minus origin: 2 px to the left and 1 px down on the label's grid
    for number, center in ((1, (18, 26)), (3, (28.5, 60.5))):
        y, x = ndimage.center_of_mass(instances == number)
        np.testing.assert_allclose([x, y], center, atol=0.1)
    disc = disc_label(grid.shape, [[60.0, 30.0]], radius_px=2.5)
    np.testing.assert_array_equal(instances == 2, disc if radius_angstrom else 0 * disc)
    expected = [["a", 120.0, 60.0, what], ["a", 150.0, 150.0, WITHOUT_COORDINATE]]
    assert unmatched.to_numpy().tolist() == expected and list(unmatched) == ["micrograph", "x", "y", "what"]


def round_trip(volume, pixel_size, side, **settings):
    """Label of a crowded simulated micrograph by its known orientations, the true one, and the particles' places."""
    shape = (side, side)
    options = {**CROWDED, **settings, "margin_angstrom": 30.0}
    simulated = simulate_micrograph(volume, name="a", shape=shape, pixel_size=pixel_size, **options)
    table = simulated.coordinates
    xy, turns = table[["x", "y"]].to_numpy(), table[["rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"]].to_numpy()
    density = outline_density(volume, None, **OUTLINES | {"pixel_size": pixel_size})
    return projected(shape, density, xy, turns), threshold_label(simulated.ctf_free), xy


def best_disc(truth, xy, pixel_size):
    """IoU of the best of many disc radii."""
    return max(iou(disc_label(truth.shape, xy, radius_px=r / pixel_size), truth) for r in range(45, 100, 3))


@pytest.mark.slow
def test_outlines_of_the_phantom_are_those_of_its_clean_micrograph():
    label, truth, _ = round_trip(phantom(180 / 7.08, seed=1), 7.08, 512)
    assert iou(label, truth) >= 0.80


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.parametrize(("pixel_size", "side", "least"), [(7.08, 512, 0.90), (3.54, 1024, 0.88)])
def test_outlines_of_a_real_shape_beat_every_disc(shared_data, pixel_size, side, least):
    volume = resample_volume(*read_volume(shared_data / "maps/sim_5a1a_bgal_D2_3.54A_80.mrc"), pixel_size)
    label, truth, xy = round_trip(volume, pixel_size, side)
    assert iou(label, truth) >= least
    assert best_disc(truth, xy, pixel_size) < 0.75


def test_the_schema_offers_the_thresholds_that_exist():
    assert get_args(OutlineThreshold) == OUTLINE_THRESHOLDS


@pytest.fixture
def run_label_outline(tmp_path, monkeypatch):
    """Run the script on two micrographs of 7 particles; it returns {micrograph: instances} and the unmatched rows."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    handlers = logging.root.handlers[:]
    rng = np.random.default_rng(0)
    xy = {name: rng.uniform(10, 90, (7, 2)) for name in ("mic_a", "mic_b")}
    tables = [pd.DataFrame({"micrograph": name, "x": p[:, 0], "y": p[:, 1], "score": 0.0}) for name, p in xy.items()]
    write_coordinates_star(tmp_path / "coordinates.star", pd.concat(tables))
    pd.DataFrame({"micrograph": list(xy)}).to_csv(tmp_path / "names.tsv", sep="\t", index=False)
    # cryoSPARC's prefix; the last particle of each has no orientation
    named = {name: f"{i:021d}_{name}" for i, name in enumerate(xy)}
    poses = [
        pose_table(p[:-1], euler_deg=draw_rotations(6, rng), origins=3.0, micrograph=named[n]) for n, p in xy.items()
    ]
    write_poses(tmp_path / "poses.star", pd.concat(poses))
    write_mrc(tmp_path / "map.mrc", ball(32, 5, (2, 0, 1)), pixel_size=4.0, dtype=np.float32)
    labels = {"map_lowpass_angstrom": 20, "threshold": "li", "without_orientation": "disc"}

    def run(names, **settings):
        with h5py.File(tmp_path / "images.h5", "w") as file:
            for name in names:
                write_array(file, "image", name, np.zeros((50, 50)), pixel_size=8.0, full_shape=(100, 100))
        files = {"coordinates": "coordinates.star", "names": "names.tsv", "images": "images.h5"}
        job = SimpleNamespace(
            input=SimpleNamespace(
                **{key: str(tmp_path / file) for key, file in files.items() if key != "names"},
                names=[str(tmp_path / files["names"])],
                poses=[str(tmp_path / "poses.star")],
                map=[str(tmp_path / "map.mrc")],
                mask=[],
            ),
            output=SimpleNamespace(labels=str(tmp_path / "labels.h5"), unmatched=str(tmp_path / "unmatched.tsv")),
            params=SimpleNamespace(
                labels={**labels, "disc_radius_angstrom": None, "instances": True, **settings},
                poses_frame={"origin": "top-left", "subtract_origins": False},
                working_pixel_size=8.0,
                dataset={"diameter_angstrom": 40.0},
            ),
            log=[str(tmp_path / "log")],
        )
        runpy.run_path(str(ROOT / "workflow_scripts/label_outline.py"), init_globals={"snakemake": job})
        kinds = ("instance", "label") if job.params.labels["instances"] else ("label",)
        arrays = {kind: {n: read_array(tmp_path / "labels.h5", kind, n).data for n in names} for kind in kinds}
        return arrays, pd.read_csv(tmp_path / "unmatched.tsv", sep="\t")

    yield run
    logging.root.handlers[:] = handlers
    logging.captureWarnings(False)


def test_batches_change_no_label(run_label_outline):
    together, unmatched = run_label_outline(["mic_a", "mic_b"])
    alone = [run_label_outline([name]) for name in ("mic_a", "mic_b")]
    for name, (arrays, _) in zip(("mic_a", "mic_b"), alone, strict=True):
        np.testing.assert_array_equal(arrays["instance"][name], together["instance"][name])
        np.testing.assert_array_equal(together["label"][name], together["instance"][name] > 0)
        assert together["instance"][name].max() == 7
    pd.testing.assert_frame_equal(pd.concat([table for _, table in alone], ignore_index=True), unmatched)
    assert unmatched["micrograph"].tolist() == ["mic_a", "mic_b"] and (unmatched["what"] == LABELLED_BY_DISC).all()


def test_particles_without_orientation_are_left_out_by_config_and_ids_are_off_by_default(run_label_outline, tmp_path):
    arrays, unmatched = run_label_outline(["mic_a"], without_orientation="omit", instances=False)
    assert array_names(tmp_path / "labels.h5", "instance") == []
    assert (unmatched["what"] == LEFT_OUT).all()
    discs, _ = run_label_outline(["mic_a"])
    assert (discs["label"]["mic_a"] >= arrays["label"]["mic_a"]).all()
    assert discs["label"]["mic_a"].sum() > arrays["label"]["mic_a"].sum()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("coordinates", "labels", "message"),
    [
        (False, {"source": "disc"}, "source: disc labels need coordinates; give datasets/real/coordinates"),
        (True, {"source": "poses", "poses": "no.cs", "map": "a.mrc"}, "poses: no.cs does not exist; correct the path"),
    ],
)
def test_impossible_label_sources_are_refused_at_once(tmp_path, coordinates, labels, message):
    (tmp_path / "a.mrc").touch()
    dataset = {"micrographs": "a.mrc", "pixel_size": 2, "particle_diameter_angstrom": 180, "labels": labels}
    if coordinates:
        dataset["coordinates"] = {"files": "a.mrc", "origin": "top-left"}
    experiment = {"trained": str(tmp_path / "trained")}
    (tmp_path / "trained").mkdir()
    for name in ("network.pt", "centers.yaml"):
        (tmp_path / "trained" / name).touch()
    settings = {"run": ["real/small"], "datasets": {"real": dataset}, "experiments": {"small": experiment}}
    config = write_config(tmp_path / "c.yaml", settings)
    done = run_snakemake(
        "-n", "-s", ROOT / "Snakefile", "--configfile", config, "--directory", tmp_path, cwd=ROOT, check=False
    )
    assert done.returncode != 0
    assert f"error: config, datasets/real/labels/{message}" in done.stdout
