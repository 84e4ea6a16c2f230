"""Chromium for tests of the pages, and the data of made-up runs."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def chromium():
    """Headless Chromium of the system, or Chrome."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: see requirements-test.txt"
    )
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        pytest.skip("no Chromium found: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        # root may not use Chromium's sandbox
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium):
    """Opens a file without a network, or an address; in the end, there was no message, no error and no other request.

    `opened.wrong` has these messages; a test takes out those that it expects.
    """
    wrong, contexts = [], []

    def open_page(place, *, width=1280, height=900, viewer=True, **options):
        is_served = str(place).startswith("http:")
        url = place if is_served else Path(place).as_uri()
        own = ("data:", "blob:", url[: url.rindex("/d/") + 1] if is_served else "file:")
        size = {"width": width, "height": height}
        contexts.append(chromium.new_context(viewport=size, offline=not is_served, **options))
        page = contexts[-1].new_page()
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: request.url.startswith(own) or wrong.append(request.url))
        page.goto(url)
        if viewer:
            drawn(page)
        return page

    open_page.wrong = wrong
    yield open_page
    for context in contexts:
        context.close()
    assert not wrong, wrong


def drawn(page):
    """Wait until the picture of a micrograph is drawn."""
    page.wait_for_selector("article [data-drawn]")


def on_canvas(page, shape, x, y):
    """Place in the window of a position on a micrograph of shape (h, w), while the whole micrograph is shown."""
    box = page.locator("canvas").bounding_box()
    scale = min(box["height"] / shape[0], box["width"] / shape[1])
    left, top = box["x"] + (box["width"] - shape[1] * scale) / 2, box["y"] + (box["height"] - shape[0] * scale) / 2
    return left + x * scale, top + y * scale


def out(page, name):
    """Text of an output of the viewer."""
    return page.locator(f'article [data-out="{name}"]').inner_text()


def made_run(name, *, labelled):
    """Data of a run as report_data leaves it, with text that HTML must not take for its own."""
    pixel = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
    nasty = "</script><img src=x onerror=alert(1)>&"
    view = {"name": nasty, "part": "test" if labelled else None, "width": 9, "height": 9, "diameter": 2}
    view |= {"grid": [9, 9], "full_shape": [9, 9]}
    view |= {"image": pixel, "probability": pixel if labelled else None, "label": None, "truth": None}
    view["candidates"] = {"x": [1.0, 5.0], "y": [2.0, 6.0], "score": [7.5, -3.0]}
    pooled = {"all": {"n_micrographs": 1, "n_picks": [2, 1, 1]}}
    if labelled:
        view["truth"] = {"x": [1.0], "y": [2.0], "found": [7.5]}
        view["candidates"]["true"] = [1, 0]
        pooled["test"] = pooled["all"] | {"n_truth": 1, "n_true": [1, 1, 1]}
    row = {
        "part": "test",
        "micrograph": "all",
        "n_truth": 1,
        "n_picks": 2,
        "precision": 0.5,
        "recall": 1.0,
        "f1": 2 / 3,
    }
    row |= dict.fromkeys(("f1_low", "f1_high", "ap", "auprc", "median_error_angstrom", "duplicates"))
    scores = {"picks": {"columns": list(row), "rows": [list(row.values())]}}
    refused = {"columns": ["path", "stage", "reason"], "rows": [[nasty, "prepare", "<b>not an image</b>"]]}
    run = {
        "name": name,
        "dataset": "d",
        "experiment": "e",
        "labelled": labelled,
        "simulated": False,
        "truth": "",
        "may_leak": labelled,
        "picker": None if labelled else "topaz",
        "finder": "nms (cell_diameters 0.5)" if labelled else "",
        **{"n_micrographs": 1, "n_picks": 2, "n_particles": 0, "n_averaged": 0},
        "sheet": [
            {"name": nasty, "part": view["part"], "n_picks": 2, "outlier": True, "view": 0, "thumbnail": pixel},
        ],
        "outliers": {"columns": ["micrograph", "n_picks"], "rows": [[nasty, 2]]},
        "viewer": {
            **{
                "thresholds": [-4.0, 0.0, 7.5],
                "chosen": -4.0,
                "pixel_size": 2.0,
                "pooled": pooled,
                "micrographs": [view],
            }
        },
        "quarantine": refused,
        "left_out": refused if labelled else {"columns": [], "rows": []},
        "notices": refused if labelled else {"columns": [], "rows": []},
        "dropped": {"columns": [], "rows": []},
        "removal_warning": None if labelled else "50 picks were removed (contaminant), and 2 are left.",
        "scores": scores if labelled else {},
        "figures": {},
        **{
            "settings": "seed: 1 # <i>",
            "performance": [],
            "links": {},
            "command": "snakemake",
            "extra_plots": {},
            "extra_made": {"tables/a<b.tsv": {"time": "2026-11-30 12:00", "is_old": True}},
        },
        "extra_tables": {"tables/a<b.tsv": refused},
    }
    if labelled:
        # a micrograph without a part, of which nothing is known
        table = {key: view["candidates"][key] for key in ("x", "y", "score")}
        run["viewer"]["micrographs"].append(view | {"name": "loose", "part": None, "truth": None, "candidates": table})
    # the tests of the GPU run read this file too, on a machine without the packages of the report
    from crisp_core.report.page import summarise_run

    run["viewer"] |= {"name": name, "dataset": "d", "experiment": "e", "entry": "centers", "command": "snakemake"}
    return run | {"summary": summarise_run(run)}
