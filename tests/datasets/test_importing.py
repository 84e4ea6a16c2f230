import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from crisp_core.datasets.coordinate_check import check_against_images
from crisp_core.datasets.coordinate_names import unmatched_files
from crisp_core.datasets.coordinate_pixel_sizes import pixel_size_notices
from crisp_core.datasets.importing import import_coordinates
from crisp_core.errors import UserError
from crisp_core.formats.arrays import Array
from crisp_core.formats.coordinates.placing import to_top_left
from crisp_core.formats.coordinates.registry import read_coordinates, write_coordinates
from crisp_core.formats.star import write_blocks

SHAPES = {"a": (100, 200), "b": (100, 200), "c": (100, 200)}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n10,20\n30,40\n")
    (tmp_path / "b.csv").write_text("x,y\n")
    (tmp_path / "stranger.csv").write_text("x,y\n1,2\n")
    (tmp_path / "text.csv").write_text("x,y\n1,many\n")
    (tmp_path / "columns.csv").write_text("u,v\n1,2\n")
    return tmp_path


def imported(folder, *names, origin="top-left"):
    return import_coordinates([str(folder / name) for name in names], SHAPES, format="auto", origin=origin)


def test_files_are_joined_and_an_empty_file_labels_its_micrograph(folder):
    result = imported(folder, "a.csv", "b.csv")
    assert result.coordinates[["micrograph", "x", "y"]].to_numpy().tolist() == [["a", 10, 20], ["a", 30, 40]]
    assert result.names[["micrograph", "n_coordinates"]].to_numpy().tolist() == [["a", 2], ["b", 0]]
    assert result.refused == []


def test_bottom_left_counts_from_the_last_row(folder):
    assert imported(folder, "a.csv", origin="bottom-left").coordinates["y"].tolist() == [79, 59]


def test_bad_files_are_refused_alone_and_strangers_listed(folder):
    (folder / "c.csv").write_text("x,y\n500,2\n")
    result = imported(folder, "a.csv", "c.csv", "columns.csv", "stranger.csv", "text.csv")
    assert len(result.coordinates) == 2
    reasons = {refused.path.split("/")[-1]: refused.reason for refused in result.refused}
    assert set(reasons) == {"c.csv", "columns.csv", "text.csv"}
    assert "outside the micrograph" in reasons["c.csv"]
    assert "names no coordinate columns" in reasons["columns.csv"]
    assert "line 2" in reasons["text.csv"] and "many" in reasons["text.csv"]
    assert result.names.query("micrograph == ''")["name"].tolist() == ["stranger"]


def test_a_second_file_for_a_micrograph_is_refused(folder):
    (folder / "a.box").write_text("0\t0\t10\t10\n")
    result = imported(folder, "a.box", "a.csv")
    assert "a second set of coordinates of a" in result.refused[0].reason
    assert len(result.names) == 1


@pytest.mark.parametrize("names", [("grid1/a", "grid2/a"), ("0" * 20 + "1_a", "0" * 20 + "2_a")])
def test_names_of_two_grids_that_match_one_micrograph_are_both_refused(folder, names):
    (folder / "all.csv").write_text(f"micrograph,x,y\n{names[0]},10,20\n{names[1]},30,40\nb,5,6\n")
    result = imported(folder, "all.csv")
    assert result.names["micrograph"].tolist() == ["b"] and result.coordinates["x"].tolist() == [5]
    expected = f"{names[0]} and {names[1]} both match micrograph a; remove the rows of one"
    assert all(expected in refused.reason for refused in result.refused) and len(result.refused) == 2


def test_files_of_two_grids_in_a_list_are_both_refused(folder):
    for grid in ("grid1", "grid2"):
        (folder / grid).mkdir()
        (folder / grid / "a.star").write_text("data_\n\nloop_\n_rlnCoordinateX\n_rlnCoordinateY\n1 2\n")
    rows = "".join(f"{grid}/a.mrc {grid}/a.star\n" for grid in ("grid1", "grid2"))
    labels = "_rlnMicrographName\n_rlnMicrographCoordinates\n"
    (folder / "autopick.star").write_text(f"data_coordinate_files\n\nloop_\n{labels}{rows}\n")
    (folder / "b.csv").write_text("x,y\n3,4\n")
    result = imported(folder, "autopick.star", "b.csv")
    assert [row.reason.partition(": ")[2] for row in result.refused] == [
        "grid1/a.mrc and grid2/a.mrc both match micrograph a; remove the rows of one"
    ] * 2
    assert set(result.coordinates["micrograph"]) <= {"b"}


def test_a_bad_file_does_not_take_the_good_one_of_its_micrograph_along(folder):
    (folder / "a.box").write_text("900\t0\t10\t10\n")
    result = imported(folder, "a.box", "a.csv")
    assert [refused.path.split("/")[-1] for refused in result.refused] == ["a.box"]
    assert result.coordinates["x"].tolist() == [10, 30] and result.names["path"].tolist() == [str(folder / "a.csv")]


def test_a_mistake_in_a_file_of_many_costs_one_micrograph(folder):
    (folder / "all.csv").write_text("micrograph,x,y\na,1,2\nb,999,2\nc,3,4\nc,5,6\n")
    result = imported(folder, "all.csv")
    assert result.coordinates["micrograph"].tolist() == ["a", "c", "c"]
    assert len(result.refused) == 1 and "in b of" in result.refused[0].reason
    assert result.names["micrograph"].tolist() == ["a", "c"]


def test_nothing_to_use_is_an_error_with_the_first_reason(folder):
    with pytest.raises(
        UserError, match=r"^coordinates/files: none of 1 files can be used; correct them, the first: .*text\.csv"
    ):
        imported(folder, "text.csv")
    with pytest.raises(UserError, match="none of 1 names matches a micrograph"):
        imported(folder, "stranger.csv")


def test_files_without_any_coordinate_are_refused_before_a_training(folder):
    (folder / "a.csv").write_text("x,y\n")
    with pytest.raises(UserError, match=r"a\.csv: none of 2 coordinate files has a coordinate of a particle; give"):
        imported(folder, "a.csv", "b.csv")
    paths = [str(folder / "b.csv")]
    later = import_coordinates(paths, SHAPES, format="auto", origin="top-left", required=False)
    assert later.names[["micrograph", "n_coordinates"]].to_numpy().tolist() == [["b", 0]]


def test_a_slip_outside_is_left_out_and_listed(folder):
    (folder / "a.csv").write_text("x,y\n" + "".join(f"{i},20\n" for i in range(50)) + "203,20\n")
    result = imported(folder, "a.csv")
    assert len(result.coordinates) == 50 and result.coordinates["x"].max() == 49
    assert result.names["n_coordinates"].tolist() == [50]
    (refused,) = result.refused
    assert "1 of 51 coordinates lie outside the micrograph, for instance (203, 20) in a of 200 × 100" in refused.reason


def test_lower_scores_are_left_out_and_counted(folder):
    (folder / "a.csv").write_text("x,y,score\n1,1,0.2\n2,2,0.3\n3,3,0.9\n")
    (folder / "b.csv").write_text("x,y,score\n1,1,0.1\n")
    paths = [str(folder / f"{name}.csv") for name in "ab"]
    options = {"format": "auto", "origin": "top-left"}
    result = import_coordinates(paths, SHAPES, **options, least_score=0.3)
    assert result.coordinates["x"].tolist() == [2, 3]
    # it was looked at, and nothing was found
    assert result.names[["micrograph", "n_coordinates"]].to_numpy().tolist() == [["a", 2], ["b", 0]]
    assert result.notes == ["2 coordinates have a score below least_score = 0.3 and are left out"]
    with pytest.raises(UserError, match=r"a\.csv: all 4 coordinates of 2 files have a score below least_score"):
        import_coordinates(paths, SHAPES, **options, least_score=5)
    (folder / "c.csv").write_text("x,y\n1,1\n")
    (refused,) = import_coordinates([*paths, str(folder / "c.csv")], SHAPES, **options, least_score=0.3).refused
    assert "c.csv: has coordinates without a score; leave out least_score, or give scores" in refused.reason


def test_boxes_that_crYOLO_left_out_are_mentioned(folder):
    table = pd.DataFrame({"micrograph": "a", "x": [20.0, 30], "y": [20.0, 30], "score": [0.11, 0.9]})
    write_coordinates(folder / "a.cbox", table, format="cryolo", size_px=10)
    paths, options = [str(folder / "a.cbox")], {"format": "auto", "origin": "top-left"}
    (note,) = import_coordinates(paths, SHAPES, **options).notes
    assert "a.cbox: a .cbox file" in note and "confidence of 0.11; set least_score" in note
    assert import_coordinates(paths, SHAPES, **options, least_score=0.3).coordinates["x"].tolist() == [30]


def test_files_of_a_list_are_refused_one_by_one(folder):
    (folder / "a_autopick.star").write_text("data_\n\nloop_\n_rlnCoordinateX\n_rlnCoordinateY\n1 2\n")
    (folder / "none.star").write_text("data_\n\nloop_\n_rlnCoordinateX\n_rlnCoordinateY\n")
    rows = {"rlnMicrographName": [f"raw/{name}.mrc" for name in "abc"]}
    files = ["a_autopick.star", "none.star", "absent.star"]
    listed = pd.DataFrame(rows | {"rlnMicrographCoordinates": files})
    write_blocks(folder / "autopick.star", {"coordinate_files": listed})
    result = imported(folder, "autopick.star")
    assert result.coordinates["micrograph"].tolist() == ["a"]
    # an empty file belongs to the micrograph of the list
    assert result.names[["micrograph", "n_coordinates"]].to_numpy().tolist() == [["a", 1], ["b", 0]]
    assert [refused.reason for refused in result.refused] == ["absent.star: no such file; check the path"]


def test_a_file_of_which_nothing_matches_is_listed_with_the_nearest_name(folder):
    for name in ("C_DW.csv", "bad.csv"):
        (folder / name).write_text("x,y\n1,2\n")
    (folder / "many.csv").write_text("micrograph,x,y\nb,1,2\nd,1,2\n")
    names = imported(folder, "a.csv", "C_DW.csv", "bad.csv", "many.csv").names
    # the micrograph `bad` was refused itself
    (refused,) = unmatched_files(names, [*SHAPES, "bad"])
    path = str(folder / "C_DW.csv")
    assert (refused.path, refused.stage) == (path, "coordinates")
    assert refused.reason.startswith(f"{path}: no micrograph is called C_DW, the nearest name is c; rename the file")
    assert unmatched_files(names, [*SHAPES, "bad", "C_DW"]) == []


def test_flipped_coordinates_are_told_from_the_image():
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:120, :160]
    image = rng.normal(size=(120, 160)).astype(np.float32)
    xy = rng.uniform(10, 50, (20, 2)) * [2.5, 1]
    for cx, cy in xy:
        image -= 3 * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / 18).astype(np.float32)
    images = [("a", Array(image, 7.0, (480, 640)))]
    table = pd.DataFrame({"micrograph": "a", "x": 4 * xy[:, 0], "y": 4 * xy[:, 1]})
    check_against_images(table, images, diameter_angstrom=80, source="here")
    with pytest.raises(UserError, match=r"here: its coordinates fit the micrographs upside down .* set origin"):
        check_against_images(table.assign(y=479 - table["y"]), images, diameter_angstrom=80, source="here")
    options = {"diameter_angstrom": 80, "source": "here", "required": False}
    assert check_against_images(table, images, **options) == ({}, [], [])
    assert list(check_against_images(table.assign(y=479 - table["y"]), images, **options)[0]) == ["a"]


REFINED = {"rlnCoordinateX": [10.0, 199.0], "rlnCoordinateY": [20.0, 5.0], "rlnMicrographName": ["a.mrc", "b.mrc"]}


def refined(path, blocks, **columns):
    write_blocks(path, blocks | {"particles": pd.DataFrame(REFINED | columns)})
    return [str(path)]


def test_the_origins_of_refined_particles_are_subtracted(tmp_path):
    """In Å, and in pixels of binned images; centre = coordinate − origin, as `poses` has it, also outside."""
    angstrom = refined(tmp_path / "31.star", {}, rlnOriginXAngst=[4.0, -8.0], rlnOriginYAngst=[-2.0, 12.0])
    optics = pd.DataFrame({"rlnOpticsGroup": [1], "rlnImagePixelSize": [4.0]})
    pixels = {"rlnOriginX": [1.0, -2.0], "rlnOriginY": [-0.5, 3.0], "rlnOpticsGroup": 1}
    binned = refined(tmp_path / "binned.star", {"optics": optics}, **pixels)
    for paths in (angstrom, binned):
        options = {"format": "auto", "origin": "top-left"}
        result = import_coordinates(paths, SHAPES, **options, refined_pixel_size=2.0)
        assert result.coordinates[["x", "y"]].to_numpy().tolist() == [[8, 21], [203, -1]]
        assert import_coordinates(paths, SHAPES, **options).coordinates["x"].tolist() == [10, 199]
        # the origin of y is that of the same file
        flipped = import_coordinates(paths, SHAPES, format="auto", origin="bottom-left", refined_pixel_size=2.0)
        assert flipped.coordinates["y"].tolist() == [99 - 21, 99 + 1]


def test_origins_that_are_not_there_are_not_taken_for_zero(folder):
    star = refined(folder / "picks.star", {})
    for paths, message in (
        (star, "has no origins"),
        ([str(folder / "a.csv")], "is not a STAR file, so it has no origins"),
    ):
        with pytest.raises(UserError, match=message):
            import_coordinates(paths, SHAPES, format="auto", origin="top-left", refined_pixel_size=2.0)


@pytest.mark.parametrize(
    ("numbers", "columns", "message"),
    [
        ([1], {"rlnOpticsGroup": [1, 2]}, "a row has the optics group 2, which data_optics lacks; add it"),
        ([1, 1], {"rlnOpticsGroup": 1}, "data_optics has the optics group 1 twice; remove one"),
        (None, {"rlnOpticsGroup": 1}, "has no column rlnOpticsGroup"),
        ([1], {"rlnDetectorPixelSize": 5, "rlnMagnification": [0, 1]}, "rlnMagnification is not greater than 0"),
    ],
)
def test_origins_in_pixels_of_unknown_size_are_refused(tmp_path, numbers, columns, message):
    optics = pd.DataFrame({"rlnImagePixelSize": [4.0] * len(numbers or [1])})
    optics = optics if numbers is None else optics.assign(rlnOpticsGroup=numbers)
    paths = refined(tmp_path / "a.star", {"optics": optics}, rlnOriginX=1.5, rlnOriginY=2.5, **columns)
    with pytest.raises(UserError, match=rf"a\.star: {message}"):
        import_coordinates(paths, SHAPES, format="auto", origin="top-left", refined_pixel_size=2.0)


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return tmp_path_factory.mktemp("importing")


@settings(max_examples=30)
@given(
    shape=st.tuples(st.integers(50, 9000), st.integers(50, 9000)),
    fractions=st.lists(st.tuples(st.floats(0.1, 1), st.floats(0.1, 1)), min_size=1, max_size=5),
    origins=st.lists(st.tuples(st.floats(-90, 90), st.floats(-90, 90)), min_size=5, max_size=5),
    pixel_size=st.floats(0.3, 12),
    origin=st.sampled_from(["top-left", "bottom-left"]),
)
def test_refined_centres_for_any_size_scale_and_origin(directory, shape, fractions, origins, pixel_size, origin):
    xy = np.reshape(fractions, (-1, 2)) * (np.array(shape[::-1]) - 1)
    shifts = np.reshape(origins[: len(xy)], (-1, 2))
    labels = ["rlnCoordinateX", "rlnCoordinateY", "rlnOriginXAngst", "rlnOriginYAngst"]
    write_blocks(directory / "a.star", {"particles": pd.DataFrame(np.hstack([xy, shifts]), columns=labels)})
    result = import_coordinates(
        [str(directory / "a.star")], {"a": shape}, format="auto", origin=origin, refined_pixel_size=pixel_size
    )
    x, y = (xy - shifts / pixel_size).T
    expected = np.column_stack([x, y if origin == "top-left" else shape[0] - 1 - y])
    np.testing.assert_allclose(result.coordinates[["x", "y"]], expected, rtol=0, atol=1e-4)


PICKERS = {"crYOLO": 4, "topaz": 4, "deepPicker": 4, "CASSPER": 12}


@pytest.mark.real
@pytest.mark.parametrize("picker", PICKERS)
def test_the_importer_tells_the_row_order_of_published_picks(shared_data, picker):
    """Every file of every micrograph that has one, alone: published picks count from the JPGs' last row."""
    folder = shared_data / "empiar-10017"
    files = sorted((folder / "published_picks" / picker).iterdir())
    assert len(files) == PICKERS[picker]
    for path in files:
        with Image.open(folder / f"micrographs/{path.stem}.jpg") as picture:
            picture.draft("L", (512, 512))
            images = [(path.stem, Array(np.asarray(picture, dtype=np.float32), 1.77 * 8, (4096, 4096)))]
        assert images[0][1].data.shape == (512, 512)
        raw = read_coordinates(path)
        right = to_top_left(raw, {path.stem: 4096}, origin="bottom-left")
        np.testing.assert_array_equal(right["y"], 4095 - raw["y"])
        options = {"diameter_angstrom": 191, "source": path.name}
        check_against_images(right, images, **options)
        with pytest.raises(UserError, match=f"{path.name}: its coordinates fit the micrographs upside down"):
            check_against_images(raw, images, **options)


def star_file(path, optics, **columns):
    """STAR file of one particle with these columns, and in its optics group those."""
    particles = pd.DataFrame({"rlnCoordinateX": [10.0], "rlnCoordinateY": [20.0], "rlnOpticsGroup": [1]} | columns)
    groups = pd.DataFrame({"rlnOpticsGroup": [1, 2]} | optics)
    write_blocks(path, {"optics": groups, "particles": particles})
    return str(path)


IMAGE = {"rlnImageName": ["000001@a.mrcs"]}


@pytest.mark.parametrize(
    ("optics", "columns", "scale", "said"),
    [
        ({"rlnMicrographPixelSize": 1.5}, {}, 1, None),
        ({"rlnMicrographPixelSize": 1.51}, {}, 1, None),
        ({"rlnMicrographPixelSize": 3.0}, {}, 1, "its rlnMicrographPixelSize states pixels of 3 Å .* set scale to 2,"),
        # coordinates of binned micrographs, rescaled as they should be, and needlessly
        ({"rlnMicrographPixelSize": 3.0}, {}, 2, None),
        ({"rlnMicrographPixelSize": 1.5}, {}, 2, "to count pixels of 3 Å; .* micrographs of 1.5 Å, set scale to 1,"),
        # the group of another file's particles
        ({"rlnMicrographPixelSize": [1.5, 3.0]}, {}, 1, None),
        # of the movies, which may be finer
        (
            {"rlnMicrographOriginalPixelSize": 0.75},
            IMAGE,
            1,
            r"OriginalPixelSize states .* \(it differs correctly .* set scale to 0.5,",
        ),
        ({"rlnMicrographOriginalPixelSize": 0.75, "rlnMicrographPixelSize": 1.5}, IMAGE, 1, None),
        # of the particles' images, which may be rescaled
        ({"rlnImagePixelSize": 6.0, "rlnMicrographOriginalPixelSize": 1.5}, IMAGE, 1, None),
        ({"rlnImagePixelSize": 6.0, "rlnImageSize": 64}, {}, 1, None),
        ({"rlnImagePixelSize": 6.0}, {}, 1, "its rlnImagePixelSize states pixels of 6 Å"),
        # RELION 3.0
        ({}, {"rlnDetectorPixelSize": 15.0, "rlnMagnification": 1e5}, 1, None),
        (
            {},
            {"rlnDetectorPixelSize": 15.0, "rlnMagnification": 5e4},
            1,
            "rlnDetectorPixelSize and rlnMagnification states .* 3 Å",
        ),
        ({}, {"rlnDetectorPixelSize": 15.0, "rlnMagnification": 0.0}, 1, None),
        ({}, IMAGE | {"rlnDetectorPixelSize": 15.0, "rlnMagnification": 5e4}, 1, None),
    ],
)
def test_a_pixel_size_in_a_star_file_that_contradicts_the_config_is_told(optics, columns, scale, said, tmp_path):
    notices = pixel_size_notices([star_file(tmp_path / "a.star", optics, **columns)], pixel_size=1.5, scale=scale)
    assert len(notices) == (said is not None)
    if said is not None:
        assert re.search(said, notices[0]) and notices[0].startswith(f"{tmp_path}/a.star: its ")


def test_files_that_state_one_pixel_size_are_one_notice_and_bad_files_none(tmp_path):
    paths = [star_file(tmp_path / f"{name}.star", {"rlnMicrographPixelSize": 3.0}) for name in "abc"]
    lists = pd.DataFrame({"rlnMicrographName": ["a.mrc", "b.mrc"], "rlnMicrographCoordinates": paths[:2]})
    write_blocks(tmp_path / "autopick.star", {"coordinate_files": lists})
    (tmp_path / "bad.star").write_text("data_\n\nloop_\n_rlnMicrographPixelSize\n3\n")
    (tmp_path / "d.csv").write_text("x,y\n1,2\n")
    given = [str(tmp_path / name) for name in ("autopick.star", "bad.star", "d.csv", "gone.star")]
    (notice,) = pixel_size_notices([*given, paths[2]], pixel_size=1.5, scale=1.0)
    assert "(3 files in all)" in notice


def test_a_coordinate_that_stands_twice_counts_once(folder):
    (folder / "a.csv").write_text("x,y,score\n10,20,1\n30,40,2\n10,20,1\n10.001,20,1\n")
    (folder / "c.csv").write_text("x,y\n10,20\n")
    result = imported(folder, "a.csv", "c.csv")
    assert result.coordinates["x"].tolist() == [10, 30, 10.001, 10]
    assert result.names["n_coordinates"].tolist() == [3, 1]
    (note,) = result.notes
    assert note.startswith(f"{folder}/a.csv: repeats coordinates (1 such rows in 1 files); each coordinate counts once")
