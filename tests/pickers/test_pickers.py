import shutil

import h5py
import numpy as np
import pandas as pd
import pytest

from crisp_core.errors import UserError
from crisp_core.evaluation.matching import match_one_to_one
from crisp_core.evaluation.scores import score_micrographs
from crisp_core.formats.arrays import Array, write_array
from crisp_core.formats.images import read_micrograph
from crisp_core.formats.mrc import write_mrc
from crisp_core.pickers import PICKERS, relion_log, topaz
from crisp_core.pickers.picker import Batch, Picker, TrainingPart
from crisp_core.pickers.relion_log import RelionLog
from crisp_core.pickers.running import joined, pick_together_or_alone, write_images
from crisp_core.pickers.skimage_log import SkimageLog
from crisp_core.pickers.threshold import PUBLISHED, above_threshold, choose_threshold
from crisp_core.pickers.topaz import PretrainedTopaz, TrainedTopaz
from crisp_core.programs import run_program

TOPAZ = TrainedTopaz(epochs=1, updates_per_epoch=2, minibatch_size=16)


def discs(shape, xy, *, diameter_px, noise=0.3, seed=0):
    """Dark discs on noise, as particles are in a micrograph."""
    y, x = np.indices(shape)
    image = np.random.default_rng(seed).normal(0, noise, shape)
    for x0, y0 in xy:
        image[np.hypot(x - x0, y - y0) <= diameter_px / 2] -= 1
    return image.astype(np.float32)


def spread(shape, n, *, distance, margin, seed=0):
    """Random places with a least distance between any two."""
    rng, places = np.random.default_rng(seed), []
    while len(places) < n:
        xy = rng.uniform(margin, np.array(shape[::-1]) - margin)
        if all(np.hypot(*(xy - other)) > distance for other in places):
            places.append(xy)
    return np.array(places)


def write_prepared(path, images):
    """File of prepared images."""
    with h5py.File(path, "w") as file:
        for name, image in images.items():
            write_array(file, "image", name, image.data, pixel_size=image.pixel_size, full_shape=image.full_shape)
    return path


@pytest.fixture(scope="module")
def known():
    """A micrograph of 256 × 320 pixels at 7 Å/px with 25 discs of 168 Å."""
    xy = spread((256, 320), 25, distance=34, margin=20)
    return Array(discs((256, 320), xy, diameter_px=24), 7.0, (256, 320)), xy


def test_skimage_log_finds_every_disc_and_ranks_discs_above_noise(known):
    image, xy = known
    found = SkimageLog().find_blobs(image.data, 24)
    best = found.sort_values("score", ascending=False).head(25)
    pairs = match_one_to_one(xy, best[["x", "y"]].to_numpy(), max_distance_px=3)
    assert pairs.truth.size == 25


def test_skimage_log_scores_a_disc_as_the_integral_says():
    # at the middle of a disc of radius r and depth 1, −σ² ∇²G ∗ disc is (r² / σ²) exp(−r² / 2σ²)
    image, radius = discs((128, 128), [(64, 64)], diameter_px=24, noise=0), 12
    sigma = radius / np.sqrt(2)
    found = SkimageLog(diameters=[1.0, 1.0], n_scales=1).find_blobs(image, 24).sort_values("score").iloc[-1]
    assert (found["x"], found["y"]) == (64, 64)
    assert found["score"] == pytest.approx(radius**2 / sigma**2 * np.exp(-(radius**2) / (2 * sigma**2)), rel=0.02)


def test_skimage_log_sees_white_particles_when_told(known):
    image, _ = known
    dark = SkimageLog().find_blobs(image.data, 24)
    white = SkimageLog(white_particles=True).find_blobs(-image.data, 24)
    pd.testing.assert_frame_equal(dark, white)


def test_nothing_is_found_on_nothing():
    assert len(SkimageLog().find_blobs(np.zeros((64, 64), np.float32), 16)) == 0
    assert list(joined([])) == ["micrograph", "x", "y", "score"]


def test_relion_finds_the_discs_at_the_right_way_up(tmp_path):
    if shutil.which(relion_log.PROGRAM) is None:
        pytest.skip("relion_autopick not found: apt install relion")
    xy = spread((512, 640), 20, distance=60, margin=40)
    write_mrc(tmp_path / "one.mrc", discs((512, 640), xy, diameter_px=48), pixel_size=3.5, dtype=np.float32)
    (tmp_path / "work").mkdir()
    paths = {name: str(tmp_path / f"{name}.mrc") for name in ("one", "gone")}
    prepared = write_prepared(tmp_path / "images.h5", dict.fromkeys(paths, Array(np.zeros((8, 8)), 14.0, (512, 640))))
    found, failed = RelionLog().pick(Batch(prepared, paths, 3.5, 168, tmp_path / "work"))
    assert failed == {"gone": f"{tmp_path}/gone.mrc: no such file; check the path"}
    best = found.sort_values("score", ascending=False).head(20)
    assert match_one_to_one(xy, best[["x", "y"]].to_numpy(), max_distance_px=12).truth.size >= 18
    assert set(found["micrograph"]) == {"one"}


def test_relion_picks_micrographs_with_any_name(tmp_path):
    if shutil.which(relion_log.PROGRAM) is None:
        pytest.skip("relion_autopick not found: apt install relion")
    image = discs((512, 640), spread((512, 640), 20, distance=60, margin=40), diameter_px=48)
    # RELION takes the second for a folder of a job
    names = ("mic", "job001_mic")
    for name in names:
        write_mrc(tmp_path / f"{name}.mrc", image, pixel_size=3.5, dtype=np.float32)
    (tmp_path / "work").mkdir()
    paths = {name: str(tmp_path / f"{name}.mrc") for name in names}
    prepared = write_prepared(tmp_path / "images.h5", dict.fromkeys(paths, Array(np.zeros((8, 8)), 14.0, (512, 640))))
    found, failed = RelionLog().pick(Batch(prepared, paths, 3.5, 168, tmp_path / "work"))
    assert failed == {}
    one, other = (found[found["micrograph"] == name].drop(columns="micrograph") for name in names)
    assert len(one) >= 18
    # the ranks of nearly equal scores change from micrograph to micrograph
    np.testing.assert_allclose(one.sort_values(["x", "y"]), other.sort_values(["x", "y"]), rtol=1e-3)
    # nothing at all is a result, although RELION 3.1.3 then crashes at its end
    (tmp_path / "work2").mkdir()
    found, failed = RelionLog(threshold_adjustment=50).pick(Batch(prepared, paths, 3.5, 168, tmp_path / "work2"))
    assert len(found) == 0 and failed == {}


@pytest.mark.parametrize("given", [{"diameter_min_angstrom": 180}, {"diameter_max_angstrom": 60}])
def test_one_bound_beyond_the_default_of_the_other_is_refused(given):
    with pytest.raises(UserError, match=r"picker relion-log: its smallest blob, .* is larger than its largest"):
        RelionLog(**given).command_line(pixel_size=3.5, diameter_angstrom=150)


def picks_of(script, names):
    """One pick on each micrograph, by a script of the shell that gets their names."""
    run_program(["sh", "-c", script, "sh", *names], install="install it")
    return pd.DataFrame({"micrograph": names, "x": 1.0, "y": 2.0, "score": 3.0})


def test_a_program_that_fails_on_one_micrograph_costs_its_picks_alone():
    def pick(names):
        return picks_of('for name in $@; do [ $name != bad ] || { echo "ERROR: in $name"; kill -9 $$; }; done', names)

    found, failed = pick_together_or_alone(["a", "bad", "c"], pick)
    assert found["micrograph"].tolist() == ["a", "c"]
    assert failed == {"bad": "bad: sh failed: in bad; its command and output are in the log"}
    assert pick_together_or_alone(["a", "c"], pick)[1] == {}
    assert len(pick_together_or_alone([], pick)[0]) == 0
    # a batch may have one micrograph, and the other batches go on
    found, failed = pick_together_or_alone(["bad"], pick)
    assert len(found) == 0 and list(failed) == ["bad"]


def test_a_program_that_fails_on_all_micrographs_is_one_line():
    with pytest.raises(
        UserError, match=r"sh failed: it printed nothing; .* fails on a and b and others, so repair the"
    ):
        pick_together_or_alone(["a", "b", "c"], lambda names: picks_of("exit 3", names))


def test_relion_gets_the_diameters_of_its_tutorial():
    words = RelionLog().command_line(pixel_size=1.77, diameter_angstrom=191)
    options = dict(zip(words[2::2], words[3::2], strict=True))
    assert float(options["--LoG_diam_min"]) == pytest.approx(150, abs=0.1)
    assert float(options["--LoG_diam_max"]) == pytest.approx(180, abs=0.1)


def test_images_are_written_as_they_are_or_down_sampled(tmp_path, known):
    image, _ = known
    grids = write_images([("a", image)], tmp_path, pixel_size=14)
    assert grids["a"].shape == (128, 160)
    written = read_micrograph(tmp_path / "a.mrc")
    assert written.pixel_size == pytest.approx(14) and written.image.shape == (128, 160)
    assert written.image.mean() == pytest.approx(image.data.mean(), abs=1e-5)
    assert write_images([("b", image)], tmp_path, pixel_size=3)["b"].pixel_size == 7
    np.testing.assert_array_equal(read_micrograph(tmp_path / "b.mrc").image, image.data)


def test_targets_are_in_pixels_of_the_images(tmp_path, known):
    image = known[0]._replace(full_shape=(1024, 1280))
    grids = write_images([("a", image)], tmp_path)
    table = pd.DataFrame({"micrograph": ["a", "a", "other"], "x": [40, 1279.9, 5], "y": [400, 0, 5], "score": 0.0})
    targets = topaz.target_table(table, grids)
    assert targets[["x_coord", "y_coord"]].to_numpy().tolist() == [[10, 100], [319, 0]]


def test_topaz_trains_for_the_particles_that_there_are():
    words = TOPAZ.training_options(n_expected=31.5)
    assert words[words.index("--num-particles") + 1] == "31.5"
    given = TrainedTopaz(expected_particles=50, pretrained=False).training_options(n_expected=31.5)
    assert given[given.index("--num-particles") + 1] == "50" and given[-1] == "--no-pretrained"


@pytest.mark.slow
def test_topaz_trains_and_picks_in_full_resolution_pixels(tmp_path, known):
    image, xy = known
    image = image._replace(full_shape=(1024, 1280))
    truth = pd.DataFrame({"micrograph": "a", "x": 4 * xy[:, 0], "y": 4 * xy[:, 1], "score": np.nan})
    for name in ("my training", "trained", "pretrained"):
        (tmp_path / name).mkdir()
    prepared = write_prepared(tmp_path / "images.h5", {"a": image})
    trained = TOPAZ.train(TrainingPart([prepared], {"a"}, truth, tmp_path / "my training"))
    assert trained.history.stat().st_size > 0
    # two steps without a seed: the picks are random, but they lie on the micrograph
    batch = Batch(prepared, {}, 1.75, 168, tmp_path / "trained", trained.detector)
    found, _ = TOPAZ.pick(batch)
    assert found["x"].between(0, 1279).all() and found["y"].between(0, 1023).all()
    # the detector that comes with Topaz finds dark discs: most of its best are true
    found, failed = PretrainedTopaz(model="resnet8_u32").pick(batch._replace(folder=tmp_path / "pretrained"))
    assert not failed
    score = score_micrographs(truth, found, ["a"], diameter_px=96)["a"]
    best = np.argsort(-score.scores)[:25]
    assert score.true[best].sum() >= 15


def test_topaz_without_a_particle_is_refused(tmp_path, known):
    nothing = pd.DataFrame({"micrograph": [], "x": [], "y": [], "score": []})
    prepared = write_prepared(tmp_path / "images.h5", {"a": known[0]})
    with pytest.raises(UserError, match="the training part has no particle"):
        TOPAZ.train(TrainingPart([prepared], {"a"}, nothing, tmp_path))
    with pytest.raises(UserError, match="no detector; train one first"):
        TOPAZ.detector(Batch(prepared, {}, 7.0, 168, tmp_path))


@pytest.mark.parametrize("name", [name for name, picker in PICKERS.items() if not picker.from_files])
def test_every_program_starts_from_its_name(name):
    picker = PICKERS[name]()
    assert picker.program == name and not picker.from_files
    assert set(picker.only_for_picking) <= set(PICKERS[name].model_fields)
    # a class that says that it trains can, and the others cannot
    assert picker.trains == (PICKERS[name].train is not Picker.train)


def table(rows):
    return pd.DataFrame(rows, columns=["micrograph", "x", "y", "score"])


def test_the_threshold_is_the_one_of_best_f1_with_the_widest_margin():
    truth = table([("a", 100 * i, 0, np.nan) for i in range(4)])
    found = table(
        [("a", 100 * i, 0, score) for i, score in enumerate([9, 7, 5, 1])] + [("a", 50, 500, 3), ("a", 0, 600, 2)]
    )
    chosen = choose_threshold(truth, found, ["a"], diameter_px=20)
    # F1 by threshold 9, 7, 5, 3, 2, 1: 2/5, 4/6, 6/7, 6/8, 6/9, 8/10
    assert chosen == {"threshold": 4.0, "expected_precision": 1.0, "expected_recall": 0.75}


def test_a_threshold_below_every_score_is_the_lowest_score():
    truth = table([("a", 0, 0, np.nan)])
    assert choose_threshold(truth, table([("a", 0, 0, -3.0)]), ["a"], diameter_px=20)["threshold"] == -3


@pytest.mark.parametrize(
    ("found", "micrographs", "message"),
    [
        ([("a", 0, 0, 1.0)], [], "the validation part has no picked micrograph"),
        ([], ["a"], "found nothing on the validation part"),
        ([("a", 0, 0, np.nan)], ["a"], "some picks have no score"),
    ],
)
def test_what_no_threshold_can_be_chosen_of_is_refused(found, micrographs, message):
    with pytest.raises(UserError, match=f"{message}.*set picker/threshold to a number or to published"):
        choose_threshold(table([("a", 0, 0, np.nan)]), table(found), micrographs, diameter_px=20)


def test_a_number_chooses_by_score_and_published_takes_all():
    found = table([("a", 0, 0, 0.2), ("a", 1, 0, 0.5), ("a", 2, 0, 0.7)])
    assert above_threshold(found, 0.5)["x"].tolist() == [1, 2]
    unscored = table([("a", 0, 0, np.nan), ("a", 1, 0, 0.9)])
    assert len(above_threshold(unscored, PUBLISHED)) == 2
    with pytest.raises(UserError, match=r"^picker/threshold: some picks have no score.*set it to published"):
        above_threshold(unscored, 0.5)
