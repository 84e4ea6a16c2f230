"""The page for marking particles on micrographs without picks."""

import h5py
import numpy as np
import pytest

from crisp_core.formats.arrays import write_array
from crisp_core.formats.corrections import read_corrections
from crisp_core.report.annotation import annotation_views, render_annotation
from crisp_core.report.previews import FULL_PREVIEWS
from tests.browser import drawn, out

NAMES = [f"m{i:02d}" for i in range(25)]


@pytest.fixture(scope="module")
def views(tmp_path_factory):
    path = tmp_path_factory.mktemp("images") / "0000.h5"
    image = np.random.default_rng(0).normal(size=(60, 48)).astype(np.float32)
    with h5py.File(path, "w") as file:
        for name in NAMES:
            write_array(file, "image", name, image, pixel_size=6.0, full_shape=(120, 96))
    return annotation_views([str(path)], diameter_angstrom=60.0, preferred=["m07", "m08"])


def test_micrographs_are_spread_and_those_that_are_marked_stay(views):
    names = [view["name"] for view in views]
    assert len(names) == FULL_PREVIEWS < len(NAMES) and {"m00", "m07", "m08"} <= set(names)
    assert all(view["candidates"]["x"] == [] and view["truth"] is None for view in views)


@pytest.mark.slow
def test_a_person_marks_particles_and_saves(views, opened, tmp_path):
    (tmp_path / "report.html").write_text(
        render_annotation(views, run="mine/annotate", pixel_size=3.0, n_micrographs=len(NAMES), made="now")
    )
    page = opened(tmp_path / "report.html")
    page.wait_for_selector("[data-corrections=ready]")
    canvas = page.locator("canvas")
    # scrolls the canvas into view
    shown, box = canvas.screenshot(), canvas.bounding_box()
    # no key is needed to start
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert canvas.screenshot() != shown
    page.keyboard.press("v")
    page.keyboard.press("PageDown")
    drawn(page)
    assert out(page, "place") == f"2 of {FULL_PREVIEWS}"
    with page.expect_download() as download:
        page.keyboard.press("Control+s")
    download.value.save_as(tmp_path / "corrections.json")
    saved = read_corrections(tmp_path / "corrections.json")
    assert (saved.dataset, saved.experiment) == ("mine", "annotate")
    (one,) = saved.micrographs
    assert (one.micrograph, one.reviewed, one.kept, one.shape_px) == ("m00", True, [], [120, 96])
    # the centre of the picture, in px of the micrograph
    np.testing.assert_allclose(one.added, [[47.0, 59.0]], atol=0.6)
