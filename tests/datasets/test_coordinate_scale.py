"""Coordinates at another scale than their micrographs: found, named, and never where they are right."""

import re

import h5py
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from crisp_core.datasets.coordinate_check import check_against_images, scale_advice
from crisp_core.datasets.coordinate_scale import ORIENTATIONS, contrast_map, scale_factors, turned
from crisp_core.datasets.importing import import_checked
from crisp_core.errors import UserError
from crisp_core.formats.arrays import Array, write_array
from crisp_core.formats.coordinates.origin import origin_contrast
from crisp_core.formats.coordinates.placing import to_top_left
from crisp_core.formats.coordinates.registry import read_coordinates
from crisp_core.preparation.normalization import fourier_resample

SHAPE, PIXEL_SIZE, DIAMETER = (480, 640), 2.0, 60.0


def micrograph(xy, *, seed=0, contrast=-3.0, noise=1.0):
    """A prepared micrograph at a quarter of the full scale, with particles at the centres (full-scale pixels)."""
    image = np.random.default_rng(seed).normal(scale=noise, size=(120, 160))
    y, x = np.mgrid[:120, :160]
    for cx, cy in np.asarray(xy) / 4:
        image += contrast * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / 8)
    return Array(image.astype(np.float32), 4 * PIXEL_SIZE, SHAPE)


def places(n, *, seed=0):
    """Places on a jittered grid of the whole micrograph, from its first to its last row and column."""
    rng = np.random.default_rng(seed)
    x, y = np.meshgrid(np.arange(20, 640, 40), np.arange(20, 480, 40))
    return rng.permutation(np.column_stack([x.ravel(), y.ravel()]))[:n] + rng.uniform(-5, 5, (n, 2))


def table(xy, name="a"):
    return pd.DataFrame({"micrograph": name, "x": xy[:, 0], "y": xy[:, 1]})


OPTIONS = {"diameter_angstrom": DIAMETER, "source": "here"}


def test_the_map_of_contrasts_is_the_contrast_at_every_pixel():
    image = micrograph(places(60)).data
    xy = np.random.default_rng(1).integers(0, (160, 120), (50, 2))
    expected = origin_contrast(image, xy, radius_px=4.3)
    np.testing.assert_allclose(contrast_map(image, radius_px=4.3)[xy[:, 1], xy[:, 0]], expected, atol=1e-6)


def test_factors_miss_no_particle_and_leave_out_what_is_nearly_1():
    factors = scale_factors((4096, 4096), diameter_px=108)
    assert factors[0] == 1 and factors[1:].min() > 1 / 17 and factors[1:].max() < 17
    enlarging = np.random.default_rng(0).uniform(1.1, 15, 200)
    for wanted in (*enlarging, *1 / enlarging):
        off = np.abs(np.log(factors / wanted)).min()
        # in pixels at the far edge, of the right coordinate
        assert off * 4096 <= 108 / 8 * 1.01
    assert np.abs(factors[1:] - 1).min() * 4096 >= 108


@pytest.mark.parametrize("contrast", [-3.0, 3.0])
@pytest.mark.parametrize("origin", ["top-left", "bottom-left"])
@pytest.mark.parametrize(("factor", "named"), [(2, "2"), (4, "4"), (1.37, r"1\.3[678]"), (2.5, r"2\.5")])
def test_coordinates_of_a_binned_micrograph_are_refused_with_their_factor(contrast, origin, factor, named):
    xy = places(80)
    image = micrograph(xy, contrast=contrast)
    as_given = (xy if origin == "top-left" else np.column_stack([xy[:, 0], 479 - xy[:, 1]])) / factor
    stated = to_top_left(table(as_given), {"a": 480}, origin=origin)
    message = rf"^here: its coordinates fit when multiplied by {named} \(contrast .*\); set scale to {named} if all"
    with pytest.raises(UserError, match=message):
        check_against_images(stated, [("a", image)], origin=origin, **OPTIONS)
    # alone in a dataset whose other coordinates are right
    both = pd.concat([stated, *(table(places(80, seed=i), f"b{i}") for i in (1, 2))])
    images = [("a", image), *((f"b{i}", micrograph(places(80, seed=i), contrast=contrast)) for i in (1, 2))]
    if origin == "top-left":
        wrong, notes, _ = check_against_images(both, images, origin=origin, **OPTIONS)
        assert list(wrong) == ["a"] and re.match(rf"the coordinates of a fit when multiplied by {named} ", wrong["a"])
        assert notes == []


def test_coordinates_in_angstrom_and_from_the_other_origin_say_so():
    xy = places(80)
    images = [("a", micrograph(xy))]
    with pytest.raises(UserError, match=r"by 2 and counted from the other origin .*set scale to 2 and origin"):
        upside_down = np.column_stack([xy[:, 0], 479 - xy[:, 1]])
        check_against_images(table(upside_down / 2), images, **OPTIONS)
    text = scale_advice(xy * PIXEL_SIZE, images[0][1], diameter_angstrom=DIAMETER, origin="top-left", scale=3.0)
    assert text.startswith("; they fit when multiplied by 0.5 (so they are in Å)") and "set scale to 1.5" in text


@pytest.mark.parametrize("contrast", [-3.0, 3.0])
@pytest.mark.parametrize(
    ("mistake", "named"),
    [
        (lambda x, y: (639 - x, y), "mirrored from left to right: x becomes 639 − x,"),
        (lambda x, y: (639 - x, 479 - y), "turned by 180°: x becomes 639 − x, and y 479 − y,"),
        (lambda x, y: (y, x), "with x and y swapped: x becomes y, and y x,"),
        (lambda x, y: (479 - y, x), "turned by 90°: x becomes y, and y 479 − x,"),
        (lambda x, y: (y, 639 - x), "turned by 90°: x becomes 639 − y, and y x,"),
        (lambda x, y: (479 - y, 639 - x), "swapped and turned by 180°: x becomes 639 − y, and y 479 − x,"),
    ],
)
def test_coordinates_of_a_turned_or_mirrored_image_are_refused_with_the_cure(contrast, mistake, named):
    xy = places(80)
    image = micrograph(xy, contrast=contrast)
    given = np.column_stack(mistake(*xy.T))
    # a frame that is wider than high holds a part of the swapped ones
    if named.startswith(("mirrored", "turned by 180")):
        with pytest.raises(UserError, match=f"^here: its coordinates fit an image in another orientation, .*{named}"):
            check_against_images(table(given), [("a", image)], **OPTIONS)
        both = pd.concat([table(given), *(table(places(80, seed=i), f"b{i}") for i in (1, 2))])
        images = [("a", image), *((f"b{i}", micrograph(places(80, seed=i), contrast=contrast)) for i in (1, 2))]
        wrong, *_ = check_against_images(both, images, **OPTIONS)
        assert list(wrong) == ["a"] and named in wrong["a"]
    for origin, as_given in (("top-left", given), ("bottom-left", np.column_stack([given[:, 0], 479 - given[:, 1]]))):
        text = scale_advice(as_given, image, diameter_angstrom=DIAMETER, origin=origin, scale=1.0)
        assert named in text


def test_bright_particles_and_corners_of_boxes_are_told_and_dark_or_hollow_particles_are_not():
    xy = places(60)
    assert check_against_images(table(xy), [("a", micrograph(xy))], **OPTIONS).notices == []
    # dark rings, whose middle is bright
    rings, (y, x) = np.random.default_rng(0).normal(size=(120, 160)), np.mgrid[:120, :160]
    for cx, cy in xy / 4:
        rings -= 1.5 * np.exp(-((np.hypot(x - cx, y - cy) - 3) ** 2) / 2)
    hollow = micrograph(xy)._replace(data=rings.astype(np.float32))
    assert check_against_images(table(xy), [("a", hollow)], **OPTIONS).notices == []
    (notice,) = check_against_images(table(xy), [("a", micrograph(xy, contrast=3.0))], **OPTIONS).notices
    assert notice.startswith("here: at its coordinates the micrographs are brighter than around them;")


@pytest.mark.parametrize("n", [0, 3, 9])
def test_few_particles_are_not_judged_and_that_is_said(n):
    xy = places(9)
    note = (
        "here: origin, axes and scale are not proven on 1 of 1 micrographs, for instance a, whose coordinates are too"
    )
    for factor in (1, 2):
        wrong, notes, _ = check_against_images(table(xy[:n] / factor), [("a", micrograph(xy))], **OPTIONS)
        assert wrong == {} and len(notes) == 1 and notes[0].startswith(note)


def test_weak_contrast_is_not_judged_and_never_refused():
    for seed in range(10):
        xy = places(80, seed=seed)
        images = [("a", micrograph(xy, seed=seed, contrast=0))]
        wrong, notes, _ = check_against_images(table(xy / (1 + seed % 4)), images, **OPTIONS)
        assert wrong == {} and "too little contrast" in notes[0]
    assert check_against_images(table(xy), [("a", micrograph(xy))], **OPTIONS) == ({}, [], [])


@pytest.fixture
def prepared(tmp_path):
    """Batch file of two micrographs with 80 particles each."""
    with h5py.File(tmp_path / "0000.h5", "w") as file:
        for i, name in enumerate("ab"):
            image = micrograph(places(80, seed=i), seed=i)
            write_array(file, "image", name, image.data, pixel_size=image.pixel_size, full_shape=SHAPE)
    return tmp_path


def import_all(folder, factors, *, required=True, **settings):
    paths = []
    for i, (name, factor) in enumerate(factors.items()):
        table(places(80, seed=i) * factor)[["x", "y"]].to_csv(folder / f"{name}.csv", index=False)
        paths.append(str(folder / f"{name}.csv"))
    settings = {"format": "auto", "origin": "top-left"} | settings
    return import_checked(paths, [str(folder / "0000.h5")], required=required, **OPTIONS, **settings)


def test_a_file_at_another_scale_is_refused_alone(prepared):
    for factor, named in ((0.5, "2"), (2, r"0\.5")):
        imported = import_all(prepared, {"a": 1, "b": factor})
        assert set(imported.coordinates["micrograph"]) == {"a"} and len(imported.coordinates) == 80
        (refused,) = imported.refused
        assert refused.path.endswith("b.csv") and re.search(f"fit when multiplied by {named} ", refused.reason)


def test_all_files_at_another_scale_end_the_first_import_and_are_refused_in_a_later_one(prepared):
    both = {"a": 0.5, "b": 0.5}
    with pytest.raises(UserError, match=r"^here: its coordinates fit when multiplied by 2 "):
        import_all(prepared, both)
    with pytest.raises(UserError, match=r"none of 2 .*lie outside .*; they fit when multiplied by 0\.5"):
        import_all(prepared, {"a": 2, "b": 2})
    with pytest.raises(
        UserError, match=r"none of 2 .*; correct them, the first: the coordinates of a fit when multiplied by 2"
    ):
        import_all(prepared, {"a": 0.5, "b": 0.25})
    later = import_all(prepared, both, required=False)
    assert later.coordinates.empty and len(later.refused) == 2


def test_the_stated_scale_is_applied_and_checked(prepared):
    imported = import_all(prepared, {"a": 0.5, "b": 0.5}, scale=2)
    np.testing.assert_allclose(imported.coordinates[["x", "y"]], np.vstack([places(80), places(80, seed=1)]))
    assert imported.refused == [] and imported.notes == []
    with pytest.raises(UserError, match=r"fit when multiplied by 2 .*; set scale to 1 if all"):
        import_all(prepared, {"a": 1, "b": 1}, scale=0.5)


def real_micrograph(folder, stem, pixel_size):
    with Image.open(next((folder / "micrographs").glob(f"{stem}.*"))) as picture:
        full_shape = picture.size[::-1]
        picture.draft("L", (512, 512))
        image = np.asarray(picture, dtype=np.float32)
    small = tuple(round(n * 500 / max(image.shape)) for n in image.shape)
    image = fourier_resample(image, small)
    return Array(image, pixel_size * full_shape[1] / image.shape[1], full_shape)


REAL = {
    "empiar-10017/coordinates": (1.77, 191, "top-left", 12),
    "empiar-10146/coordinates": (1.5, 123, "top-left", 7),
    "empiar-10017/published_picks/crYOLO": (1.77, 191, "bottom-left", 4),
    "empiar-10017/published_picks/topaz": (1.77, 191, "bottom-left", 4),
    "empiar-10017/published_picks/deepPicker": (1.77, 191, "bottom-left", 4),
    "empiar-10017/published_picks/CASSPER": (1.77, 191, "bottom-left", 12),
    "empiar-10017/published_picks/DRPnet": (1.77, 191, "top-left", 4),
}
# all of them for the experts' coordinates, the first for every picker
WRONG = (0.5, 2, 1 / 4, 1 / 8, 1.77, 1 / 1.77)


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.parametrize("folder", REAL)
def test_the_scale_of_every_real_file_is_told(shared_data, folder):
    """File by file: right coordinates pass; at a wrong scale or orientation they are refused with the one that fits."""
    pixel_size, diameter, origin, n_files = REAL[folder]
    files = sorted((shared_data / folder).iterdir())
    assert len(files) == n_files
    for path in files:
        stem = path.stem.removesuffix("_jpgframe")
        image = real_micrograph(shared_data / folder.split("/")[0], stem, pixel_size)
        given = read_coordinates(path, micrograph=stem)
        placed = to_top_left(given, {stem: image.full_shape[0]}, origin=origin)
        options = {"diameter_angstrom": diameter, "origin": origin}
        assert check_against_images(placed, [(stem, image)], source=path.name, **options) == ({}, [], [])
        xy = placed[["x", "y"]].to_numpy()
        # those that are their own inverse
        for number in (1, 2, 3) if folder.endswith("coordinates") else ():
            wrong = placed.assign(**dict(zip("xy", turned(xy, image.full_shape)[number].T, strict=True)))
            with pytest.raises(UserError, match=re.escape(ORIENTATIONS[number].split(":")[0])):
                check_against_images(wrong, [(stem, image)], source=path.name, **options)
        for factor in WRONG if folder.endswith("coordinates") else WRONG[:1]:
            text = scale_advice(given[["x", "y"]].to_numpy() * factor, image, scale=1.0, **options)
            found = re.match(r"; they fit when multiplied by ([0-9.]+) ", text)
            assert found, f"{path.name} times {factor} is not refused"
            assert float(found[1]) == pytest.approx(1 / factor, rel=0.01) and "other origin" not in text
