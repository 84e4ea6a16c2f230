"""Previews of a large run in a folder beside its page, and how the page loads them."""

import json
import re
import shutil
import threading

import numpy as np
import pandas as pd
import pytest

from crisp_core.formats.arrays import Array
from crisp_core.formats.corrections import read_corrections
from crisp_core.report.page import render_page
from crisp_core.report.parts import FACTS, PER_PART, detach_previews, write_run_data
from crisp_core.report.picked import match_candidates
from crisp_core.report.previews import data_uri
from crisp_core.report.server import start_server
from crisp_core.report.view import micrograph_view
from tests.browser import drawn, made_run, on_canvas, out

N = 65
NAMES = [f"m{i:02d}" for i in range(N)]
PIXEL = data_uri("image/jpeg", b"picture")


def view(name):
    """Data of a micrograph with as many picks as its number."""
    n = NAMES.index(name)
    picks = pd.DataFrame({"x": np.arange(n) + 0.5, "y": np.arange(n) + 20.0, "score": np.linspace(0.9, 0.6, n)})
    image = Array(np.random.default_rng(n).normal(size=(96, 120)).astype(np.float32), 3.0, (192, 240))
    one = match_candidates(picks, None, diameter_px=20)
    return {"name": name, "part": None} | micrograph_view(one, image, None, None, diameter_angstrom=60, side_px=120)


@pytest.fixture(scope="module")
def run():
    """Data of a run of 65 micrographs; the first has no pick, the last has 64."""
    data = made_run("d/e", labelled=False) | {"n_micrographs": N, "extra_tables": {}}
    (one,) = data["sheet"]
    data["sheet"] = [one | {"name": name, "view": i, "thumbnail": PIXEL} for i, name in enumerate(NAMES)]
    pooled = {"all": {"n_micrographs": N, "n_picks": [2080, 2080, 0]}}
    views = [view(name) for name in NAMES]
    data["viewer"] |= {"thresholds": [0.0, 0.5, 1.0], "chosen": 0.5, "micrographs": views, "pooled": pooled}
    return data


@pytest.fixture
def folder(run, tmp_path):
    """Results with the page of the run and its previews."""
    place = tmp_path / "results/d/e"
    place.mkdir(parents=True)
    page = render_page(detach_previews(run, place / "report_previews"), made="now")
    (place / "report.html").write_text(page)
    return place


def test_the_parts_and_the_page_have_all_data_of_the_run(run, tmp_path):
    write_run_data(run, tmp_path / "whole.json", previews=None)
    write_run_data(run, tmp_path / "light.json", previews=tmp_path / "report_previews")
    whole, light = (json.loads((tmp_path / name).read_text()) for name in ("whole.json", "light.json"))
    assert whole == json.loads(json.dumps(run))
    scripts = sorted((tmp_path / "report_previews").glob("*.js"))
    calls = [re.fullmatch(r'crisp\.addPart\("(\w+)", (\d+), (.*)\);\n', path.read_text()) for path in scripts]
    assert {call[1] for call in calls} == {light["viewer"]["previews"]["key"]}
    assert [int(call[2]) for call in calls] == list(range(-(-N // PER_PART)))
    parts = [view for call in calls for view in json.loads(call[3])]
    joined = [known | later for known, later in zip(light["viewer"]["micrographs"], parts, strict=True)]
    assert joined == whole["viewer"]["micrographs"]
    assert all(set(known) == set(FACTS) for known in light["viewer"]["micrographs"])
    thumbnails = [tmp_path / one["thumbnail"] for one in light["sheet"]]
    assert len(set(thumbnails)) == N and all(path.read_bytes() == b"picture" for path in thumbnails)
    # all other data are as before
    assert {key: light[key] for key in light if key not in ("sheet", "viewer")} == {
        key: whole[key] for key in whole if key not in ("sheet", "viewer")
    }


def add_pick(page):
    """Click a place without picks, in the upper right corner of the micrograph."""
    page.mouse.click(*on_canvas(page, (192, 240), 220, 20))


def started(page):
    page.wait_for_selector("[data-corrections=ready]")
    page.keyboard.press("c")
    page.locator("canvas").scroll_into_view_if_needed()
    return page


def go(page, view):
    page.locator(f'[data-view="{view}"]').evaluate("button => button.click()")
    drawn(page)


def loaded_parts(page):
    return page.evaluate("crisp.run.micrographs.filter(crisp.isLoaded).length") // PER_PART


@pytest.mark.slow
def test_every_micrograph_of_a_large_run_is_corrected_and_undone(folder, opened):
    assert (folder / "report.html").stat().st_size < 300e3
    page = started(opened(folder / "report.html"))
    assert (out(page, "place"), out(page, "count"), loaded_parts(page)) == (f"1 of {N}", "0", 1)
    add_pick(page)
    go(page, 42)
    assert (out(page, "name"), out(page, "count"), loaded_parts(page)) == ("m42", "42", 2)
    add_pick(page)
    page.keyboard.press("v")
    # undo goes back to the micrograph of the change
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    drawn(page)
    assert out(page, "name") == "m00" and page.evaluate("crisp.viewer.state.index") == 0
    for _ in range(3):
        page.keyboard.press("Control+y")
    page.reload()
    page.wait_for_selector("[data-corrections=ready]")
    # the browser kept both, of which one is not loaded now
    assert loaded_parts(page) == 1
    assert page.locator('[data-correct-out="changes"]').inner_text().startswith("3 changes on 2 micrographs")
    with page.expect_download() as download:
        page.keyboard.press("Control+s")
    download.value.save_as(folder / "corrections.json")
    first, last = read_corrections(folder / "corrections.json").micrographs
    assert (first.micrograph, len(first.kept), len(first.added)) == ("m00", 0, 1)
    assert (last.micrograph, len(last.kept), len(last.added), last.reviewed) == ("m42", 42, 1, True)


@pytest.mark.slow
def test_a_large_run_is_served(folder, opened):
    with start_server(folder.parents[1], 0) as running:
        threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True).start()
        page = opened(f"{running.address}d/e/report.html")
        go(page, 64)
        assert (out(page, "name"), out(page, "count")) == ("m64", "64")
        # it may still load thumbnails
        page.close()
        running.shutdown()


@pytest.mark.slow
def test_a_page_says_that_previews_are_missing_and_changes_nothing(folder, run, opened, tmp_path):
    (folder / "report_previews/0004.js").unlink()
    page = started(opened(folder / "report.html"))
    problem = page.locator("[data-out=problem]")
    assert not problem.is_visible()
    page.locator('[data-view="42"]').evaluate("button => button.click()")
    problem.wait_for()
    assert problem.inner_text() == (
        "The preview is missing: copy the folder report_previews next to this page, then reload."
    )
    assert out(page, "count") == "–" and page.locator("[data-correct=bad]").is_disabled()
    page.keyboard.press("b")
    add_pick(page)
    assert page.locator('[data-correct-out="changes"]').inner_text().startswith("0 changes")
    go(page, 0)
    assert not problem.is_visible()
    # the folder of another run
    shutil.rmtree(folder / "report_previews")
    (one, *others) = run["viewer"]["micrographs"]
    other = run | {"viewer": run["viewer"] | {"micrographs": [one | {"label": PIXEL}, *others]}}
    detach_previews(other, folder / "report_previews")
    page.locator('[data-view="42"]').evaluate("button => button.click()")
    page.wait_for_function("document.querySelector('[data-out=problem]').textContent.includes('another version')")
    assert [text for text in opened.wrong if "ERR_FILE_NOT_FOUND" not in text] == []
    opened.wrong.clear()
