"""From nothing to a network: particles are marked in a real browser, and a network is trained on the marks."""

import numpy as np
import pytest

from crisp_core.evaluation.scores import f1, score_picks
from crisp_core.formats.mrc import write_mrc
from crisp_core.formats.relion_coordinates import read_coordinates_star
from tests.browser import drawn, on_canvas

from .conftest import ROOT, TINY, run_snakemake, write_config

pytestmark = pytest.mark.slow

SHAPE, PIXEL_SIZE, DIAMETER_PX = (192, 224), 7.08, 25
N_MARKED = 3


def disc_micrograph(folder, number):
    """Write a micrograph of dark discs in noise, and return their places."""
    rng = np.random.default_rng(number)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    corners = np.array([(i, j) for i in (32, 86, 140) for j in (30, 84, 138, 192)], float)
    places = corners[rng.permutation(len(corners))[:8]][:, ::-1] + rng.uniform(-6, 6, (8, 2))
    image = rng.normal(0, 1, SHAPE)
    for px, py in places:
        image -= 2.5 * (np.hypot(x - px, y - py) < DIAMETER_PX / 2)
    write_mrc(folder / f"m{number}.mrc", image.astype(np.float32), pixel_size=PIXEL_SIZE, dtype="float32")
    return places


def mark(page, places):
    """Click on every particle of the micrograph that is shown, and mark it as reviewed."""
    for x, y in places:
        page.mouse.click(*on_canvas(page, SHAPE, x + 0.5, y + 0.5))
    page.keyboard.press("v")


def test_three_micrographs_that_were_marked_in_the_browser_train_a_network(tmp_path, opened):
    (tmp_path / "raw").mkdir()
    places = [disc_micrograph(tmp_path / "raw", i) for i in range(N_MARKED + 1)]
    dataset = {"micrographs": "raw/*.mrc", "pixel_size": PIXEL_SIZE, "particle_diameter_angstrom": 180}
    write_config(
        tmp_path / "mine.yaml", {"run": ["mine/general"], "datasets": {"mine": dataset}, "experiments": {"general": {}}}
    )
    arguments = ["-s", str(ROOT / "Snakefile"), "--cores", "2", "--configfile", "mine.yaml", "--"]
    run_snakemake(*arguments, "annotate", cwd=tmp_path)

    page = opened(tmp_path / "results/mine/annotate/report.html")
    page.wait_for_selector("[data-corrections=ready]")
    page.locator("canvas").scroll_into_view_if_needed()
    for number in range(N_MARKED):
        mark(page, places[number])
        page.keyboard.press("PageDown")
        drawn(page)
    with page.expect_download() as download:
        page.keyboard.press("Control+s")
    download.value.save_as(tmp_path / "results/mine/annotate/corrections.json")

    dataset["corrections"] = "results/mine/annotate/corrections.json"
    small = TINY["experiments"]["small"] | {"training": TINY["experiments"]["small"]["training"] | {"epochs": 6}}
    write_config(
        tmp_path / "mine.yaml", {"run": ["mine/small"], "datasets": {"mine": dataset}, "experiments": {"small": small}}
    )
    run_snakemake(*arguments, "picks", cwd=tmp_path)
    marked = read_coordinates_star(tmp_path / "results/mine/coordinates/0.star")
    for number in range(N_MARKED):
        own = marked.loc[marked["micrograph"] == f"m{number}", ["x", "y"]].to_numpy()
        np.testing.assert_allclose(own[own[:, 0].argsort()], places[number][places[number][:, 0].argsort()], atol=0.5)
    # on the micrograph that nobody marked
    picks = read_coordinates_star(tmp_path / "results/mine/small/picks/0000.star").query("micrograph == 'm3'")
    scored = score_picks(places[3], picks[["x", "y"]].to_numpy(), picks["score"], diameter_px=DIAMETER_PX)
    assert f1(scored.counts) > 0.8
