"""Facts and masks of the contact sheet, and its order in a real browser."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from crisp_core.report.contact import junk_uri, sheet_facts, sheet_orders
from crisp_core.report.page import render_page
from crisp_core.report.tables import counts_by_reason
from tests.browser import drawn, made_run

COLUMNS = ["micrograph", "verdict", "reason", "contaminant_share", "carbon_share", "median_score", "excluded"]
ROWS = [
    ["m2", "bad", "<b>few</b> particles", 0.25, None, 0.4, "verdict bad"],
    ["m10", "good", None, 0.05, None, 0.6, None],
    ["m1", "doubtful", "weak picks", None, None, 0.5, None],
]
CURATION = {"columns": COLUMNS, "rows": ROWS}


def test_facts_are_those_of_the_table_and_orders_those_with_a_value():
    facts = sheet_facts(CURATION)
    assert facts["m2"]["verdict"] == "bad" and sheet_facts(None) == {}
    assert list(sheet_orders(facts)) == ["n_picks", "contaminant_share", "median_score"]
    assert list(sheet_orders({})) == ["n_picks"]


def test_masks_have_the_colours_of_their_classes_and_are_clear_elsewhere():
    classes = np.zeros((4, 6), np.uint8)
    classes[0], classes[1], classes[3, 5] = 2, 3, 1
    picture = Image.open(io.BytesIO(base64.b64decode(junk_uri(classes, (2, 3)).partition(",")[2]))).convert("RGBA")
    assert picture.size == (3, 2) and picture.getpixel((0, 0)) == (0xD5, 0x5E, 0, 255)
    assert picture.getpixel((2, 1))[3] == 0
    whole = Image.open(io.BytesIO(base64.b64decode(junk_uri(classes, (4, 6)).partition(",")[2]))).convert("RGBA")
    assert whole.getpixel((5, 1)) == (0x56, 0xB4, 0xE9, 255) and whole.getpixel((5, 3))[3] == 0
    assert junk_uri(np.ones((4, 6), np.uint8), (4, 6)) is None


def test_dropped_picks_are_counted_by_reason():
    rows = [["picking", "small", "a", 3], ["picking", "large", "a", 9], ["picking", "small", "b", 4]]
    table = {"columns": ["stage", "reason", "micrograph", "n_picks"], "rows": rows}
    assert counts_by_reason(table) == [("large", 9), ("small", 7)]


@pytest.fixture
def page(tmp_path, opened):
    """Page of a run with three micrographs and verdicts."""
    run = made_run("d/e", labelled=False) | {
        "curation": CURATION,
        "extra_tables": {},
        "n_micrographs": 3,
        "picker": None,
    }
    run["finder"] = "nms"
    (one,) = run["sheet"]
    (view,) = run["viewer"]["micrographs"]
    pixel = junk_uri(np.full((9, 9), 2, np.uint8), (9, 9))
    names = ("m1", "m2", "m10")
    run["sheet"] = [one | {"name": name, "n_picks": 10 * i, "view": i} for i, name in enumerate(names)]
    run["viewer"]["micrographs"] = [view | {"name": name, "junk": pixel if name == "m2" else None} for name in names]
    (tmp_path / "report.html").write_text(render_page(run, made="now"))
    return opened(tmp_path / "report.html")


def names(page):
    return [name.strip() for name in page.locator(".sheet .name").all_inner_texts()]


@pytest.mark.slow
def test_the_sheet_is_sorted_by_mouse_and_by_keys(page):
    assert names(page) == ["m1", "m2", "m10"]
    choice = page.locator("[data-order]")
    for key, expected in {
        "verdict": ["m2", "m1", "m10"],
        "n_picks": ["m10", "m2", "m1"],
        "contaminant_share": ["m2", "m10", "m1"],
        "name": ["m1", "m2", "m10"],
    }.items():
        choice.select_option(key)
        assert names(page) == expected
    choice.select_option("contaminant_share")
    assert page.locator(".sheet .sorted").all_inner_texts()[:2] == [
        "share of contaminants 0.250",
        "share of contaminants 0.0500",
    ]
    page.locator("[data-turn]").click()
    # micrographs without a value stay last
    assert names(page) == ["m10", "m2", "m1"]
    page.locator("h1").click()
    page.keyboard.press("o")
    assert names(page) == ["m2", "m10", "m1"]
    page.keyboard.press("s")
    assert choice.input_value() == "median_score" and names(page) == ["m10", "m1", "m2"]
    assert page.locator(".sheet .reason").all_inner_texts() == ["weak picks", "<b>few</b> particles"]
    assert page.locator(".order .tag").all_inner_texts() == ["1 good", "1 doubtful", "1 bad"]


@pytest.mark.slow
def test_masks_are_switched_where_a_micrograph_has_them(page):
    layer = page.locator("[data-layer=junk]")
    assert layer.is_disabled()
    page.keyboard.press("ArrowRight")
    drawn(page)
    picture = "document.querySelector('article canvas').toDataURL()"
    before = page.evaluate(picture)
    page.keyboard.press("j")
    assert layer.get_attribute("aria-pressed") == "true" and page.evaluate(picture) != before
    layer.click()
    assert page.evaluate(picture) == before
