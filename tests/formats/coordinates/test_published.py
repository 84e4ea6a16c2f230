import numpy as np
import pytest
from PIL import Image

from crisp_core.errors import UserError
from crisp_core.formats.coordinates.origin import check_origin, origin_contrast
from crisp_core.formats.coordinates.placing import to_top_left
from crisp_core.formats.coordinates.registry import read_coordinates


@pytest.fixture(scope="module")
def thumbnails(shared_data):
    images = {}
    for path in sorted((shared_data / "empiar-10017/micrographs").glob("*.jpg")):
        with Image.open(path) as picture:
            picture.draft("L", (512, 512))
            images[path.stem] = np.asarray(picture, dtype=np.float32)
    return images


SETS = {
    "coordinates": "top-left",
    "published_picks/crYOLO": "bottom-left",
    "published_picks/topaz": "bottom-left",
    "published_picks/deepPicker": "bottom-left",
    "published_picks/CASSPER": "bottom-left",
}


@pytest.mark.real
@pytest.mark.parametrize("folder", SETS)
def test_origin_of_every_published_set_is_told_apart(shared_data, thumbnails, folder):
    """EMPIAR-10017: ground truth counts from the top of these JPGs, every picker from the bottom; file by file."""
    other = {"top-left": "bottom-left", "bottom-left": "top-left"}
    heights = dict.fromkeys(thumbnails, 4096)
    for path in sorted((shared_data / "empiar-10017" / folder).iterdir()):
        raw = read_coordinates(path)
        image = thumbnails[path.stem]
        right, wrong = (
            origin_contrast(
                image,
                to_top_left(raw, heights, origin=origin)[["x", "y"]].to_numpy() * image.shape[0] / 4096,
                radius_px=54 * image.shape[0] / 4096,
            )
            for origin in (SETS[folder], other[SETS[folder]])
        )
        check_origin(right, wrong, source=path)
        with pytest.raises(UserError, match="upside down"):
            check_origin(wrong, right, source=path)


def hand_parsed(path, first, columns, separator=None):
    """An independent reading: plain split of the lines after the header."""
    lines = [line.split(separator) for line in path.read_text().splitlines()[first:] if line.strip()]
    return np.array([[float(line[column]) for column in columns] for line in lines])


@pytest.mark.real
@pytest.mark.parametrize("folder", SETS)
def test_published_files_equal_a_hand_parse(shared_data, folder):
    """Every published file: coordinates and scores in the order of its lines."""
    paths = sorted((shared_data / "empiar-10017" / folder).iterdir())
    for path in paths:
        back = read_coordinates(path)
        if path.suffix == ".box":
            expected = hand_parsed(path, 0, (0, 1, 4)) + np.array([90, 90, 0])
        elif path.suffix == ".star":
            expected = hand_parsed(path, 9, (0, 1))
        else:
            expected = hand_parsed(path, 1, (0, 1), ",")
            assert (back["diameter_px"] == 108).all()
        np.testing.assert_array_equal(back[["x", "y", "score"]].to_numpy()[:, : expected.shape[1]], expected)
        assert len(back) > 100 and back["micrograph"].unique() == [path.stem]
    assert len(paths) in (4, 12)
