import h5py
import numpy as np
import pandas as pd
import pytest

from crisp_core.classes import CLASSES, IGNORED
from crisp_core.errors import UserError
from crisp_core.formats.arrays import write_array
from crisp_core.segmentation.crops import (
    ALL_CERTAIN,
    Crops,
    Uncertain,
    labelled_parts,
    parts_of_datasets,
    read_label,
    uncertain_pixels,
)
from crisp_core.segmentation.jitter import jitter_rings

from .labelled import PIXEL_SIZE, disc_micrographs, discs, write_micrographs

TWO = ["background", "particle"]


@pytest.fixture
def micrographs(tmp_path):
    return disc_micrographs(tmp_path)


def test_a_part_goes_without_micrographs_that_have_no_label(micrographs):
    split = pd.DataFrame({"micrograph": ["a", "unlabelled", "b"], "part": ["train", "train", "validation"]})
    parts = labelled_parts(split, [micrographs[0].images], [micrographs[0].labels])
    assert {part: [one.name for one in rows] for part, rows in parts.items()} == {"train": ["a"], "validation": ["b"]}


def test_a_crop_depends_on_its_number_alone(micrographs):
    options = {"crop_px": 32, "n_items": 20, "contrast_jitter": 0.1, "defocus_jitter": 0.3, "empty_share": 0.5}
    crops, again = (Crops(micrographs, classes=TWO, seed=1, **options) for _ in range(2))
    crops[3]
    for mine, other in zip(crops[7], again[7], strict=True):
        np.testing.assert_array_equal(mine, other)
    assert not np.array_equal(crops[7][0], crops[10][0])


def test_image_and_label_turn_together_and_the_margin_is_ignored(micrographs):
    crops = Crops(micrographs, crop_px=32, n_items=40, classes=TWO, seed=1)
    seen = set()
    for image, label in (crops[i] for i in range(40)):
        assert image.shape == (1, 32, 32) and label.shape == (32, 32)
        seen |= set(np.unique(label))
        if (label == 1).sum() > 20:
            assert image[0][label == 1].mean() < image[0][label == 0].mean() - 1.5
    assert seen == {0, 1, IGNORED}


def test_a_micrograph_smaller_than_the_crop_is_continued_with_ignored_pixels(micrographs):
    image, label = Crops(micrographs, crop_px=100, n_items=1, classes=TWO, seed=1)[0]
    assert image.shape == (1, 100, 100)
    assert (label != IGNORED).sum() == 64 * 72


def test_pixels_that_the_label_marks_as_unsure_do_not_count(micrographs):
    unsure = np.zeros((64, 80), bool)
    unsure[10:20, 30:50] = True
    with h5py.File(micrographs[0].labels, "a") as labels:
        write_array(labels, "unsure", "a", unsure, pixel_size=PIXEL_SIZE, full_shape=unsure.shape)
    _, crop = Crops(micrographs[:1], crop_px=100, n_items=1, classes=TWO, seed=1)[0]
    assert (crop != IGNORED).sum() == 64 * 72 - 200
    label, counts = read_label(micrographs[0], ALL_CERTAIN)
    assert label.shape == counts.shape and counts.sum() == 64 * 72 - 200 and not counts[unsure].any()
    assert read_label(micrographs[1], ALL_CERTAIN)[1].sum() == 64 * 72


def test_two_classes_take_the_others_for_background(micrographs):
    with h5py.File(micrographs[0].labels, "a") as labels:
        for name in "abc":
            labels[f"label/{name}"][:, :6] = 2
            labels[f"label/{name}"][:4] = 3
    options = {"crop_px": 100, "n_items": 3, "seed": 1}
    assert set(np.unique(Crops(micrographs, classes=TWO, **options)[0][1])) <= {0, 1, IGNORED}
    assert set(np.unique(Crops(micrographs, classes=CLASSES, **options)[0][1])) >= {0, 1, 2, 3}


@pytest.mark.slow
def test_empty_crops_are_as_rare_as_asked_for(tmp_path):
    # a crop of 32 px holds some of the only particle with a probability of about 1 in 7
    sparse = write_micrographs(tmp_path, {"a": discs((128, 128), [(40, 60)], 3)})

    def empty(share):
        crops = Crops(sparse, crop_px=32, n_items=200, empty_share=share, classes=TWO, seed=2)
        return np.mean([(crops[i][1] != 1).all() for i in range(200)])

    assert empty(1) > 0.8
    assert 0.2 < empty(0.3) < 0.45
    # 20 places at most: (6 / 7)²⁰ is 5 %
    assert empty(0) < 0.1


def test_without_any_particle_crops_are_still_drawn(tmp_path):
    bare = write_micrographs(tmp_path, {"a": np.zeros((64, 64), np.uint8)})
    _, label = Crops(bare, crop_px=32, n_items=4, empty_share=0, classes=TWO, seed=2)[3]
    assert (label != 1).all()


def outline_distance(label):
    """Distance (px) of every pixel's centre to the nearest one on the other side of an outline, tried one by one."""
    places = np.argwhere(label >= 0)
    particle = (label == 1).ravel()
    distance = np.linalg.norm(places[:, None] - places[None], axis=-1)
    distance[particle[:, None] == particle[None]] = np.inf
    return distance.min(axis=1).reshape(label.shape)


def test_the_band_is_as_wide_as_asked_for():
    label = discs((24, 28), [(10, 9), (14, 20)], 4.5)
    band = uncertain_pixels(label, Uncertain(band_angstrom=10.6), pixel_size=7.0)
    np.testing.assert_array_equal(band, (outline_distance(label) - 0.5) * 7.0 < 10.6)
    assert not uncertain_pixels(label, ALL_CERTAIN, pixel_size=7.0).any()
    for value in (0, 1):
        uniform = np.full((8, 8), value, np.uint8)
        assert not uncertain_pixels(uniform, Uncertain(band_angstrom=50.0), pixel_size=7.0).any()


def test_far_from_what_is_labelled_background_does_not_count_but_carbon_does():
    label = discs((24, 40), [(12, 8)], 4)
    label[:, 36:] = 3
    unknown = uncertain_pixels(label, Uncertain(unlabelled_angstrom=49.0), pixel_size=7.0)
    places, particles = np.argwhere(label >= 0), np.argwhere(label == 1)
    distance = np.linalg.norm(places[:, None] - particles[None], axis=-1).min(axis=1).reshape(label.shape)
    np.testing.assert_array_equal(unknown, (label == 0) & (distance > 7))
    bare = np.zeros((8, 8), np.uint8)
    assert uncertain_pixels(bare, Uncertain(unlabelled_angstrom=49.0), pixel_size=7.0).all()


@pytest.mark.parametrize("uncertain", [Uncertain(band_angstrom=20.0), Uncertain(unlabelled_angstrom=60.0)])
def test_what_a_crop_ignores_does_not_depend_on_where_it_was_cut(micrographs, uncertain):
    """Every pixel of every crop is ignored exactly where it is in the whole micrograph."""
    with h5py.File(micrographs[0].labels) as labels:
        label = labels["label/a"][()]
    expected = np.where(uncertain_pixels(label, uncertain, pixel_size=PIXEL_SIZE), IGNORED, label)
    expected[:, -8:] = IGNORED
    crops = Crops(micrographs[:1], crop_px=24, n_items=1, uncertain=uncertain, classes=TWO, seed=0)
    for seed in range(30):
        corner = crops.draw_corner(None, "a", crops.grids[0], np.random.default_rng(seed))
        _, target = crops.read(micrographs[0], crops.grids[0], np.random.default_rng(seed))
        y, x = corner
        np.testing.assert_array_equal(target, expected[y : y + 24, x : x + 24])


def test_rings_change_the_spectrum_within_their_strength_and_not_the_mean():
    image = np.random.default_rng(0).normal(3, 1, (48, 64)).astype(np.float32)
    changed = jitter_rings(image, 0.4, np.random.default_rng(5))
    gain = np.fft.rfft2(changed) / np.fft.rfft2(image)
    assert abs(gain.imag).max() < 1e-3
    assert 0.6 - 1e-3 < gain.real.min() < 0.95 and 1.05 < gain.real.max() < 1.4 + 1e-3
    assert changed.mean() == pytest.approx(image.mean(), abs=1e-5)
    # the same gain in every direction at the same spatial frequency: 12 / 48 is 16 / 64
    assert gain[12, 0].real == pytest.approx(gain[0, 16].real, abs=1e-4)


def test_a_dataset_of_a_network_without_training_micrographs_is_named(micrographs, tmp_path):
    images, labels = micrographs[0].images, micrographs[0].labels
    splits = [tmp_path / "a.tsv", tmp_path / "b.tsv"]
    table = pd.DataFrame({"micrograph": [micrographs[0].name, micrographs[1].name], "part": ["train", "validation"]})
    table.to_csv(splits[0], sep="\t", index=False)
    table[1:].to_csv(splits[1], sep="\t", index=False)
    with pytest.raises(UserError, match=r"b\.tsv: no training micrograph of second could be used"):
        parts_of_datasets(splits, [images] * 2, [labels] * 2, n_batches={"first": 1, "second": 1})
    parts = parts_of_datasets(splits[:1], [images], [labels], n_batches={"first": 1})
    assert [m.name for m in parts["train"]] == [micrographs[0].name]
